"""A mask in a file of its own is added to that of a scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.mask_file import read_mask_file, save_mask
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=16, side=3)


def mask_of(row: int, column: int) -> np.ndarray:
    mask = np.zeros((16, 16), bool)
    mask[row, column] = True
    return mask


@pytest.mark.parametrize('ending', ['.npz', '.npy'])
def test_a_mask_is_added(tmp_path: Path, scan: ScanData, ending: str) -> None:
    save_mask(tmp_path / f'm{ending}', mask_of(3, 5))
    np.testing.assert_array_equal(read_mask_file(tmp_path / f'm{ending}'), mask_of(3, 5))
    values = np.sqrt(scan.counts)
    values[:, 3, 5] = np.nan
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=values, bad_pixels=mask_of(1, 2))
    read = load_scan(path, mask=tmp_path / f'm{ending}')
    np.testing.assert_array_equal(read.mask, mask_of(3, 5) | mask_of(1, 2))
    assert np.isfinite(read.counts).all()


def test_a_mask_is_for_centred_frames(tmp_path: Path, scan: ScanData) -> None:
    save_mask(tmp_path / 'm.npz', mask_of(3, 5))
    values = np.fft.ifftshift(np.sqrt(scan.counts), axes=(1, 2))
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=values)
    read = load_scan(path, mask=tmp_path / 'm.npz', dc='corner')
    np.testing.assert_array_equal(read.mask, mask_of(3, 5))


def test_what_is_no_mask_is_refused(tmp_path: Path, scan: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(scan))
    cases = {
        'must have the shape of a frame': np.zeros((8, 8), bool),
        'must be an image of true': np.ones((2, 16, 16), bool),
        'true \\(bad\\) and false, got float64': np.ones((16, 16)),
    }
    for message, array in cases.items():
        np.save(tmp_path / 'm.npy', array)
        with pytest.raises(ScanDataError, match=message):
            load_scan(path, mask=tmp_path / 'm.npy')
    with pytest.raises(ScanDataError, match='holds no mask'):
        load_scan(path, mask=path)
