"""The commands and the Python of all pages run, in the order of each page."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from ptychopinn_plugin.cli.commands import demo
from ptychopinn_plugin.cli.main import main
from tests.docs.given_files import (
    Given,
    Names,
    beamline_files,
    list_of_scans,
    model,
    one_file,
    ptychodus_folder,
    recorded,
    scans,
    separate_frames,
    settings,
)
from tests.docs.page_blocks import FILES, ROOT, RUN, blocks, pages_with_code
from tests.docs.page_commands import (
    IN_FILES,
    IN_PYTHON,
    cheap,
    lines_of,
    reason_left_out,
    replaced,
    run_block,
)


def result(folder: Path) -> Names:
    assert main(cheap(['reconstruct', 'scan.npz', '--output', 'object.npz'])) == 0
    (folder / 'object.h5').unlink(missing_ok=True)
    assert main(cheap(['reconstruct', 'scan.npz', '--output', 'object.h5'])) == 0
    return {}


scan = scans('scan.npz')
# Pages, each with what writes the files that it takes for given.
PAGES: dict[str, tuple[Given, ...]] = {
    'README': (scans('scan.npz', 'monday.npz', 'tuesday.npz', 'wednesday.npz'),),
    'beamline-files': (beamline_files,),
    'cli': (
        scan,
        one_file,
        model,
        settings,
        list_of_scans,
        recorded,
        result,
    ),
    'configuration': (scan,),
    'data-contract': (scan,),
    'devices': (scan,),
    'differences-to-ptychopinn': (scan,),
    'fewer-frames': (scans('scan.npz', 'dense.npz'),),
    'first-in-ptychodus': (),
    'first-reconstruction': (),
    'from-ptychopinn': (),
    'index': (),
    'large-scans': (scan, separate_frames),
    'live': (recorded,),
    'many-scans': (scans('a.npz', 'b.npz'), model, list_of_scans),
    'positions': (scan,),
    'probe': (scan,),
    'ptychodus': (scans('star.npz'), ptychodus_folder),
    'published-network': (scan, scans('new.npz')),
    'real-scans': (scan,),
    'results': (scan, result),
    'scripts': (scan,),
    'several-processes': (scan,),
    'simulate-scans': (),
    'train-and-reuse': (),
    'wrong-scan': (),
}
# Run by a test of their own.
ELSEWHERE = {
    'own-reconstructor': ('test_docs.py', 'test_the_reconstructor_shown_keeps_its_promises'),
}
# What libraries of Parsl warn of is none of this package.
WARNS = {'many-scans': [pytest.mark.filterwarnings('default')]}


@pytest.fixture
def _small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, 'SCAN', demo.SCAN.model_copy(update={'rows': 6, 'columns': 6}))
    few = {'epochs': 1, 'steps_per_epoch': 1, 'crop_frames': 25, 'validation_episodes': 1}
    monkeypatch.setattr(demo, 'TRAINING', demo.TRAINING.model_copy(update=few))


@pytest.mark.slow
@pytest.mark.pytorch
@pytest.mark.integration
@pytest.mark.usefixtures('_small_demo')
@pytest.mark.parametrize('page', [pytest.param(page, marks=WARNS.get(page, [])) for page in PAGES])
def test_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # The faster one for calls of a second.
    monkeypatch.setattr(
        'ptychopinn_plugin.backends.registry._is_installed', lambda name: name == 'pytorch'
    )
    names: Names = {'__name__': 'page'}
    for write in PAGES[page]:
        names |= write(tmp_path)
    for block in blocks(page):
        if block.reason:
            continue
        if block.language in ('sh', 'bash'):
            run_block(block.text)
        elif block.language == 'python':
            exec(compile(replaced(block.text, IN_PYTHON), f'{page}.md', 'exec'), names)
        elif block.language in FILES:
            # The file that its first line names, for what comes after it.
            name = re.match(r'# ([\w./]+)', block.text)
            assert name, block.text
            (tmp_path / name[1]).write_text(replaced(block.text, IN_FILES))


def test_every_page_with_code_is_run() -> None:
    assert {*PAGES, *ELSEWHERE} == set(pages_with_code())
    assert not set(PAGES) & set(ELSEWHERE)
    for file, test in ELSEWHERE.values():
        assert f'def {test}(' in (ROOT / 'tests' / 'docs' / file).read_text()


def test_what_is_not_run_says_why() -> None:
    marked = {
        (page, block.reason) for page in pages_with_code() for block in blocks(page) if block.reason
    }
    assert marked == set()
    lines = [
        line
        for page in PAGES
        for block in blocks(page)
        if block.language == 'sh' and not block.text.startswith('#!')
        for line in lines_of(block.text)
    ]
    assert all(
        block.language in (*RUN, *FILES, 'text', 'mermaid')
        for page in PAGES
        for block in blocks(page)
    )
    left_out = {line.split('#')[0].strip() for line in lines if reason_left_out(line)}
    assert left_out == {
        *('python -m venv ptychography', '. ptychography/bin/activate'),
        *(
            f"pip install 'ptychopinn-plugin[{extra}]'"
            for extra in ('pytorch', 'pytorch,gui', 'cluster')
        ),
        *('ptychodus', 'ptychopinn ptychodus'),
        'torchrun --standalone --nproc-per-node 4 -m ptychopinn_plugin reconstruct scan.npz '
        '--output object.h5 --backend pytorch',
    }


def test_the_extras_that_pages_install_are_there() -> None:
    extras = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    for page in pages_with_code():
        for block in blocks(page):
            for named in re.findall(r'ptychopinn-plugin\[([\w,]+)\]', block.text):
                assert set(named.split(',')) <= set(extras['optional-dependencies'])


def test_what_is_replaced_in_a_command() -> None:
    line = 'train a.npz --model m.safetensors --epochs 20 --resume'
    made = cheap(line.split())
    assert made[:3] == ['train', 'a.npz', '--model']
    assert made.count('--epochs') == 1
    assert made[made.index('--epochs') + 1] == '2'
    assert cheap(['inspect', 'm.safetensors']) == ['inspect', 'm.safetensors']
    assert cheap(['batch', 'a', '--jobs', '4'])[-2:] == ['--jobs', '1']


def test_a_block_is_found_with_the_reason_why_it_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('tests.docs.page_blocks.DOCS', tmp_path)
    (tmp_path / 'page.md').write_text(
        'A.\n\n<!-- not run: no machine -->\n```sh\nsbatch a\n```\n\n```python\nb\n```\n'
    )
    assert [(block.text, block.reason) for block in blocks('page')] == [
        ('sbatch a\n', 'no machine'),
        ('b\n', ''),
    ]
