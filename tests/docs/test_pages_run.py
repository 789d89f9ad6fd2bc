"""The commands and the Python of the tutorials and how-to pages run, in the order of each page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from ptychopinn_plugin.cli.main import main
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate

DOCS = Path(__file__).parents[2] / 'docs'
# Pages, each with the files that it takes for given.
PAGES: dict[str, tuple[str, ...]] = {
    'first-reconstruction': (),
    'train-and-reuse': (),
    'wrong-scan': (),
    'from-ptychopinn': (),
    'positions': ('scan.npz',),
    'probe': ('scan.npz',),
    'published-network': ('scan.npz',),
    'results': ('scan.npz', 'object.npz'),
    'devices': ('scan.npz',),
    'scripts': ('scan.npz',),
    'simulate-scans': (),
}
# Set up a machine, or open a window.
LEFT_OUT = ('python -m venv', '.', 'pip', 'ptychodus')
# The pages show what users need; here each command only has to work.
CHEAP = {
    'simulate': ['--rows', '8', '--columns', '8'],
    'train': ['--epochs', '1', '--early-stop-patience', '1'],
    'reconstruct': ['--refine-iterations', '3'],
    'batch': ['--refine-iterations', '3'],
}
CHEAP_UNROLLED = ['--steps-per-epoch', '1', '--crop-frames', '25', '--validation-episodes', '1']
CHEAP_CNN = ['--batch-size', '32', '--gridsize', '1']
# Results that the page compares.
AS_IT_IS = {'first.npz', 'second.npz'}
CNN_FLAGS = {'--train_data_file', '--architecture', '--nepochs'}


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and text of each block of code, in order."""
    text = (DOCS / f'{page}.md').read_text()
    return re.findall(r'^```(\w+)\n(.*?)^```', text, re.DOTALL | re.MULTILINE)


def cheap(words: list[str]) -> list[str]:
    """Return a command with settings that take no time in place of the page's."""
    added = list(CHEAP.get(words[0], []))
    if words[0] == 'reconstruct' and AS_IT_IS & set(words):
        return words
    if words[0] == 'train':
        resumes = '--resume' in words
        own = CNN_FLAGS & set(words) or '--config' in words
        added += CHEAP_CNN if own else CHEAP_UNROLLED
        added[1] = '2' if resumes else '1'
    if 'cnn.safetensors' in words and words[0] == 'reconstruct':
        added = ['--cnn-refine-iterations', '2'] if '--cnn-refine-iterations' in words else []
    if '--config' in words and words[0] == 'reconstruct':
        added = []
    names = {flag for flag in added if flag.startswith('--')}
    replaced = names | ({'--nepochs'} if '--epochs' in names else set())
    kept, skip = [], False
    for word in words:
        if not skip and word not in replaced:
            kept.append(word)
        skip = not skip and word in replaced
    return kept + added


def run_shell(text: str) -> None:
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if not words or line.startswith(LEFT_OUT):
            continue
        assert words[0] == 'ptychopinn', line
        assert main(cheap(words[1:])) == 0, line


@pytest.mark.slow
@pytest.mark.pytorch
@pytest.mark.integration
@pytest.mark.parametrize('page', PAGES)
def test_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # The faster one for calls of a second.
    monkeypatch.setattr(
        'ptychopinn_plugin.backends.registry._is_installed', lambda name: name == 'pytorch'
    )
    given = PAGES[page]
    if 'scan.npz' in given:
        save_simulated(tmp_path / 'scan.npz', simulate(SimulationConfig(rows=8, columns=8)))
    if 'object.npz' in given:
        run_shell('ptychopinn reconstruct scan.npz --output object.npz')
    names: dict[str, Any] = {'__name__': 'page'}
    found = blocks(page)
    assert found
    for language, text in found:
        if language == 'sh':
            run_shell(text)
        elif language == 'python':
            exec(compile(text, f'{page}.md', 'exec'), names)
        else:
            # The file that its first line names, for the commands after it.
            name = re.fullmatch(r'# ([\w.]+)', text.splitlines()[0])
            assert name, text
            (tmp_path / name[1]).write_text(text)


def test_every_tutorial_is_run() -> None:
    nav = yaml.safe_load((DOCS.parent / 'mkdocs.yml').read_text())['nav']
    (tutorials,) = [part['Tutorials'] for part in nav if 'Tutorials' in part]
    shown = {Path(entry).stem for entry in tutorials if isinstance(entry, str)}
    # Needs a window; tests/ptychodus/test_window.py does the same.
    assert shown - {'first-in-ptychodus'} <= set(PAGES)


def test_what_is_replaced_in_a_command() -> None:
    line = 'train a.npz --model m.safetensors --epochs 20 --resume'
    made = cheap(line.split())
    assert made[:3] == ['train', 'a.npz', '--model']
    assert made.count('--epochs') == 1
    assert made[made.index('--epochs') + 1] == '2'
    assert cheap(['inspect', 'm.safetensors']) == ['inspect', 'm.safetensors']
