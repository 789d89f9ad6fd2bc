"""What no measurement can be is refused where it is read, with what it may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write

PIXEL_M = 20e-9


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=32, side=5, step_px=4.0)


def fault(path: Path, scan: ScanData, **change: Any) -> str:
    members = canonical(scan) | change
    members.pop('objectGuess')
    with pytest.raises(ScanDataError) as caught:
        load_npz(write(path / 's.npz', members))
    return str(caught.value)


# Those in metres are divided by the pixel: tests/io/test_npz_geometry.py.
@pytest.mark.parametrize(('unit', 'name'), [(1e-9, 'nanometres'), (1e-6, 'micrometres')])
def test_positions_in_another_unit(tmp_path: Path, scan: ScanData, unit: float, name: str) -> None:
    y, x = (scan.positions_px * PIXEL_M / unit).T
    text = fault(tmp_path, scan, ycoords=y, xcoords=x, pixel_size_m=PIXEL_M)
    assert 'positions must be in object pixels of 20 nm' in text
    assert f'they look like {name} (a step of 3.' in text
    without = fault(tmp_path, scan, ycoords=y, xcoords=x)
    assert 'are they in metres or micrometres?' in without


def test_no_two_frames_overlap(tmp_path: Path, scan: ScanData) -> None:
    y, x = scan.positions_px.T * 12
    assert 'no two frames overlap' in fault(tmp_path, scan, ycoords=y, xcoords=x)


def test_small_steps_of_a_continuous_scan_are_fine(tmp_path: Path, scan: ScanData) -> None:
    x = np.linspace(20, 60, 25 * 8)
    members = canonical(scan) | {
        'diffraction': np.tile(np.sqrt(scan.counts), (8, 1, 1)),
        'xcoords': x,
        'ycoords': np.full(x.size, 30.0),
    }
    assert load_npz(write(tmp_path / 's.npz', members)).frame_count == 200


def test_an_inverted_mask(tmp_path: Path, scan: ScanData) -> None:
    bad = np.zeros((32, 32), bool)
    bad[::7, 3] = bad[:, 20] = True
    path = write(tmp_path / 'right.npz', canonical(scan), bad_pixels=bad)
    assert load_npz(path).mask.sum() == bad.sum()
    text = fault(tmp_path, scan, bad_pixels=~bad)
    assert 'is it inverted? True marks a bad pixel' in text


def test_a_mask_that_leaves_the_light_is_none_of_it(tmp_path: Path, scan: ScanData) -> None:
    row, column = np.indices((32, 32)) - 16
    for bad in (np.hypot(row, column) > 9, np.hypot(row, column) < 6):
        path = write(tmp_path / 's.npz', canonical(scan), bad_pixels=bad)
        assert load_npz(path).mask.sum() == bad.sum()
