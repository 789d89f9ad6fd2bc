"""Geometry of an .npz: positions in metres are known by their size, the user's values hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin import load_scan
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write

PIXEL_M = 2.5e-8


@pytest.fixture(scope='module')
def scan() -> ScanData:
    scan: ScanData = make_scan(frame_size=16, side=4)
    return scan


def in_metres(path: Path, scan: ScanData, **more: object) -> Path:
    arrays = canonical(scan)
    arrays |= {key: arrays[key] * PIXEL_M for key in ('xcoords', 'ycoords')}
    return write(path, arrays | {name: np.asarray(value) for name, value in more.items()})


@pytest.mark.parametrize('known_by', ['file', 'user', 'instrument'])
def test_positions_in_metres_are_divided_by_the_pixel(
    tmp_path: Path, scan: ScanData, known_by: str
) -> None:
    instrument = {'photon_energy_ev': 8000.0, 'detector_distance_m': 2.0}
    detector_m = 1.239841984332e-6 / 8000.0 * 2.0 / (16 * PIXEL_M)
    in_file: dict[str, Any] = {
        'file': {'pixel_size_m': PIXEL_M},
        'user': {},
        'instrument': instrument | {'detector_pixel_size_m': detector_m},
    }[known_by]
    given: dict[str, Any] = {'pixel_size_m': PIXEL_M} if known_by == 'user' else {}
    read = load_scan(in_metres(tmp_path / 's.npz', scan, **in_file), **given)
    np.testing.assert_allclose(read.positions_px, scan.positions_px, rtol=1e-9)
    assert read.metadata.pixel_size_m == pytest.approx((PIXEL_M, PIXEL_M))
    assert any(one.startswith('positions are in metres') for one in read.decisions)


def test_positions_in_pixels_stay_where_the_pixel_is_known(tmp_path: Path, scan: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(scan) | {'pixel_size_m': np.asarray(PIXEL_M)})
    np.testing.assert_array_equal(load_scan(path).positions_px, scan.positions_px)


def test_metres_without_geometry_are_refused_with_the_way_to_give_it(
    tmp_path: Path, scan: ScanData
) -> None:
    with pytest.raises(ScanDataError, match=r'load_scan\(pixel_size_m=\.\.\.\)'):
        load_scan(in_metres(tmp_path / 's.npz', scan))


def test_the_user_overrules_the_file(tmp_path: Path, scan: ScanData) -> None:
    known = {'pixel_size_m': np.asarray(1e-9), 'photon_energy_ev': np.asarray(1e4)}
    path = write(tmp_path / 's.npz', canonical(scan) | known)
    read = load_scan(path, pixel_size_m=PIXEL_M, photon_energy_ev=7e3, detector_distance_m=3.0)
    assert read.metadata.pixel_size_m == (PIXEL_M, PIXEL_M)
    assert (read.metadata.photon_energy_ev, read.metadata.detector_distance_m) == (7e3, 3.0)


def test_options_of_instruments_are_refused(tmp_path: Path, scan: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(scan))
    with pytest.raises(ScanDataError) as caught:
        load_scan(path, crop=8, positions=str(path), beam_center=(4, 4))
    assert len(caught.value.faults) == 3
