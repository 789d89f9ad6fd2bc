"""The documentation says what the code does."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from ptychopinn_plugin.cli.legacy_flags import translate_flags
from ptychopinn_plugin.cli.options import Ptychopinn
from ptychopinn_plugin.cli.parser import parse
from ptychopinn_plugin.config import InferenceConfig

ROOT = Path(__file__).parents[2]
REAL_SCANS = ROOT / 'docs' / 'real-scans.md'
# The decisions show what was tried, in part with commands that are gone.
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]


def blocks(language: str) -> list[str]:
    text = '\n'.join(page.read_text() for page in PAGES)
    return re.findall(rf'```{language}\n(.*?)```', text, re.DOTALL)


def test_the_reference_page_is_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / 'docs' / 'make_reference.py'))['make_page']()
    page = (ROOT / 'docs' / 'configuration.md').read_text()
    assert page == made, 'run: python docs/make_reference.py'
    for name, field in InferenceConfig.model_fields.items():
        assert f'`{name}`' in page
        assert str(field.description) in page


def typed_commands() -> list[str]:
    helps = [field.annotation.__args__[0].__doc__ for field in subcommands()]
    text = '\n'.join([*blocks('sh'), *helps, str(Ptychopinn.__doc__)])
    text = text.replace('\\\n', ' ')
    lines = [line.strip().partition('  ')[0] for line in text.splitlines()]
    return [line for line in lines if line.startswith('ptychopinn ')]


def subcommands() -> list:  # type: ignore[type-arg]
    return [field for name, field in Ptychopinn.model_fields.items() if name != 'version']


@pytest.mark.parametrize('line', sorted(set(typed_commands())))
def test_every_command_shown_can_be_typed(line: str) -> None:
    words, _ = translate_flags(shlex.split(line.partition('#')[0])[1:])
    _, parsed = parse(words)
    assert vars(parsed)


def test_every_command_is_shown() -> None:
    shown = {line.split()[1] for line in typed_commands()}
    assert set(Ptychopinn.model_fields) - {'version'} <= shown


def test_the_python_shown_compiles_and_names_what_is_there() -> None:
    import ptychopinn_plugin

    for block in blocks('python'):
        compile(block, 'README.md', 'exec')
        for name in re.findall(r'\bpp\.(\w+)', block):
            assert name in ptychopinn_plugin.__all__


def test_links_and_pictures_are_there() -> None:
    others = [ROOT / 'CONTRIBUTING.md', *(ROOT / 'docs').rglob('*.md')]
    for page in {*PAGES, *others}:
        for target in re.findall(r'\]\(([^)#]+)\)', page.read_text()):
            assert target.startswith('https://') or (page.parent / target).exists(), target


def test_every_setting_that_a_symptom_asks_for_can_be_typed() -> None:
    flags = set(re.findall(r'`(--[^`]+)`', REAL_SCANS.read_text()))
    assert len(flags) > 5
    for flag in flags:
        _, parsed = parse(['reconstruct', 'scan.npz', '--output', 'object.h5', *shlex.split(flag)])
        assert vars(parsed)


def test_every_setting_explained_is_one_of_a_reconstruction() -> None:
    explained = re.findall(r'^- \*\*`(\w+)`\*\*', REAL_SCANS.read_text(), re.MULTILINE)
    assert len(explained) > 5
    assert set(explained) <= set(InferenceConfig.model_fields)


def test_the_reconstructor_shown_keeps_its_promises() -> None:
    page = (ROOT / 'docs' / 'own-reconstructor.md').read_text()
    library, check = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    shown: dict[str, type] = {}
    exec(compile(library, 'my_package/library.py', 'exec'), shown)
    _, call = check.split('assert ')
    from ptychopinn_plugin import check_reconstructor

    assert eval(call, shown | {'check_reconstructor': check_reconstructor})


def test_the_figures_of_the_readme_are_those_of_the_pages() -> None:
    readme = (ROOT / 'README.md').read_text()
    rows = re.findall(r'^\| ([^|]+) \| ([\d.*]+) \| ([\d.*]+) \| ([\d.*]+) \|$', readme, re.M)
    assert len(rows) == 10
    measured = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in REAL_SCANS.read_text().splitlines()
    ]
    for fault, refined, auto, ptychi in rows:
        name = fault.removesuffix(' of all 19')
        assert [name, refined, auto, ptychi] in [
            [row[0], row[1], row[4], row[7]] for row in measured if len(row) == 10
        ]


def measured_methods() -> dict[tuple[str, str], tuple[str, str]]:
    """Return seconds and error with PyTorch by scan and method, as on the page of benchmarks."""
    found, scan = {}, ''
    for line in (ROOT / 'docs' / 'benchmarks.md').read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().removeprefix('|').split('|')]
        if len(cells) == 9:
            scan = cells[0] or scan
            found[scan, cells[1]] = (cells[2], cells[4])
    return found


def test_the_methods_of_the_readme_are_those_of_the_benchmarks() -> None:
    readme = (ROOT / 'README.md').read_text()
    table = re.findall(r'^\| scan \|.*?\n\n', readme, re.M | re.S)[0]
    head, _, *scans, training = table.strip().splitlines()
    methods = [cell.strip() for cell in head.strip('|').split('|')][1:]
    measured = measured_methods()
    assert len(scans) == 5
    for row in scans:
        scan, *cells = [cell.strip() for cell in row.strip('|').split('|')]
        for method, cell in zip(methods, cells, strict=True):
            seconds, error = measured[scan, method]
            assert cell.replace('*', '') == f'{error} in {seconds} s'
    benchmarks = (ROOT / 'docs' / 'benchmarks.md').read_text()
    for each in set(re.findall(r'\d+ s', training)):
        assert f'for 60 epochs in {each}' in benchmarks
