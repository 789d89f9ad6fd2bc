"""The notebooks run, and are stored light and with what they print."""

from __future__ import annotations

import base64
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / 'docs' / 'notebooks').glob('*.ipynb'))
LARGEST_BYTES = 150_000


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())['cells']
    return found


def outputs(path: Path) -> list[dict[str, Any]]:
    return [output for cell in cells(path) for output in cell.get('outputs', [])]


def test_there_are_three() -> None:
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize('path', NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_is_light_and_has_run_from_top_to_bottom(path: Path) -> None:
    assert path.stat().st_size < LARGEST_BYTES
    counts = [cell['execution_count'] for cell in cells(path) if cell['cell_type'] == 'code']
    assert counts == list(range(1, len(counts) + 1))
    assert any('image/png' in output.get('data', {}) for output in outputs(path))
    for output in outputs(path):
        assert output['output_type'] != 'error'
        # What a library writes there has the paths of the machine that it ran on.
        assert output.get('name') != 'stderr'
    assert cells(path)[0]['source'][0].startswith('# ')


@pytest.mark.slow
@pytest.mark.pytorch
@pytest.mark.parametrize('path', NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_runs_and_writes_nothing_beside_it(path: Path, tmp_path: Path) -> None:
    run = runpy.run_path(str(ROOT / 'docs' / 'run_notebooks.py'))['run']
    again = run(path, tmp_path)
    assert not list(tmp_path.iterdir())
    for stored, made in zip(cells(path), again.cells, strict=True):
        kinds = [
            [output['output_type'] for output in cell.get('outputs', [])] for cell in (stored, made)
        ]
        assert kinds[0] == kinds[1]


def test_pictures_have_few_colours() -> None:
    for path in NOTEBOOKS:
        for output in outputs(path):
            if png := output.get('data', {}).get('image/png'):
                # A palette: colour type 3 in the header of the file.
                assert base64.b64decode(png)[25] == 3
