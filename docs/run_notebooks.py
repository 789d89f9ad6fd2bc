"""Run the notebooks of docs/notebooks and store them with their outputs.

usage: python docs/run_notebooks.py [NAME.ipynb ...]

Run it after a change of a notebook, or of what one prints; a test runs a copy of each.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent / 'notebooks'
SECONDS = 600  # of one cell
COLOURS = 64  # of a picture: a third of the bytes, and no difference that can be seen


def run(path: Path, folder: Path) -> Any:  # noqa: ANN401  a notebook node
    """Return a notebook with the outputs of a run, raise at the first cell that fails.

    Args:
        path: the notebook.
        folder: that it is run in.
    """
    notebook = nbformat.read(path, as_version=4)
    resources = {'metadata': {'path': str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop('execution', None)  # times of the run: every run would differ
        for output in cell.get('outputs', []):
            if 'image/png' in output.get('data', {}):
                output.data['image/png'] = light(output.data['image/png'])
    notebook.metadata.language_info = {'name': 'python'}
    return notebook


def light(png: str) -> str:
    """Return a picture, PNG as base64, with few colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB')
    buffer = io.BytesIO()
    picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        buffer, format='png', optimize=True
    )
    return base64.b64encode(buffer.getvalue()).decode('ascii')


def main() -> None:
    """Run the notebooks that are named, all of them where none is."""
    names = sys.argv[1:] or sorted(path.name for path in FOLDER.glob('*.ipynb'))
    for name in names:
        nbformat.write(run(FOLDER / name, FOLDER), FOLDER / name)


if __name__ == '__main__':
    main()
