"""The script takes each picture of the window that the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread

DOCS = Path(__file__).parents[2] / 'docs'
SHOWN = re.findall(r'\(images/ptychodus/(\w+\.png)\)', (DOCS / 'first-in-ptychodus.md').read_text())
LARGEST_BYTES = 80_000


def test_the_pictures_are_light_and_all_shown() -> None:
    there = sorted((DOCS / 'images' / 'ptychodus').iterdir())
    assert [path.name for path in there] == sorted(SHOWN)
    assert len(SHOWN) == 4
    assert all(path.stat().st_size < LARGEST_BYTES for path in there)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.pytorch
def test_the_script_takes_each_picture(tmp_path: Path) -> None:
    pytest.importorskip('PyQt5.QtWidgets', exc_type=ImportError)
    subprocess.run(
        [sys.executable, DOCS / 'make_screenshots.py', tmp_path],
        check=True,
        env=os.environ | {'QT_QPA_PLATFORM': 'offscreen'},
        cwd=tmp_path,
        timeout=550,
        capture_output=True,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(SHOWN)
    for name in SHOWN:
        # What is shown of the text differs with the fonts; an empty window has one colour.
        made, stored = imread(tmp_path / name), imread(DOCS / 'images' / 'ptychodus' / name)
        assert made.shape == stored.shape
        assert made.std() > 0.5 * stored.std() > 0
