"""One loader for any scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=16, side=3)


@pytest.fixture
def folder(tmp_path: Path, scan: ScanData) -> Path:
    save_ptychodus_pair(tmp_path / 'pair', scan)
    return tmp_path / 'pair'


def assert_same(read: ScanData, scan: ScanData) -> None:
    np.testing.assert_array_equal(read.counts, scan.counts)
    np.testing.assert_allclose(read.positions_px, scan.positions_px, atol=1e-9)


def test_an_npz_file_is_read_from_a_path_or_its_text(tmp_path: Path, scan: ScanData) -> None:
    assert_same(load_scan(write(tmp_path / 's.npz', canonical(scan))), scan)
    assert_same(load_scan(str(tmp_path / 's.npz'), domain='amplitude', axis_order='nhw'), scan)


def test_a_folder_or_either_file(folder: Path, scan: ScanData) -> None:
    for path in (folder, folder / 'diffraction.h5', folder / 'product.h5'):
        assert_same(load_scan(path), scan)


def test_a_later_product_of_the_folder(folder: Path, scan: ScanData) -> None:
    later = (folder / 'product.h5').rename(folder / 'product.000100.h5')
    assert_same(load_scan(later), scan)


def test_a_product_elsewhere(folder: Path, tmp_path: Path, scan: ScanData) -> None:
    moved = (folder / 'product.h5').rename(tmp_path / 'moved.h5')
    assert_same(load_scan(folder / 'diffraction.h5', product=moved), scan)
    assert_same(load_scan(folder, product=moved), scan)
    with pytest.raises(ScanDataError, match='there is no product'):
        load_scan(folder)


def test_positions_are_oriented_for_every_kind(folder: Path, scan: ScanData) -> None:
    oriented = load_scan(folder, flip_x=True, transpose=True)
    assert oriented.decisions[-1].startswith(
        'positions were turned as asked for: transpose, flip x'
    )
    assert oriented.positions_px[:, 0].min() == pytest.approx(scan.positions_px[:, 1].min())


def test_the_probe_of_a_product(folder: Path, tmp_path: Path, scan: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(scan), without=('probeGuess',))
    read = load_scan(path, probe=folder / 'product.h5')
    np.testing.assert_array_equal(read.probe, scan.probe)


def test_options_that_mean_nothing_are_refused(folder: Path) -> None:
    with pytest.raises(ScanDataError) as caught:
        load_scan(folder, domain='counts', axis_order='nhw', dc='corner', photons=3.0)
    assert len(caught.value.faults) == 4
    assert 'load_scan(axis_order=...) is for .npz files' in caught.value.faults[1]


@pytest.mark.parametrize('name', ['none.npz', 'none.h5', 'none'])
def test_no_such_scan(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScanDataError, match='there is no'):
        load_scan(tmp_path / name)
