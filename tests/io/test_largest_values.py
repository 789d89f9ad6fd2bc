"""The largest value of an integer marks bad pixels, or says that counts were cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write

GAP = (slice(None), slice(None), 20)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=32, side=3)


@pytest.mark.parametrize(
    ('dtype', 'value'),
    [
        ('uint16', 2**16 - 1),
        ('int16', 2**15 - 1),
        ('uint32', 2**32 - 1),
        ('int64', 2**16 - 1),
        ('float32', 2**32 - 1),
        ('float64', 2**16 - 1),
    ],
)
def test_pixels_marked_in_all_frames_are_masked(
    tmp_path: Path, scan: ScanData, dtype: str, value: int
) -> None:
    counts = scan.counts.astype(dtype)
    counts[GAP] = value
    counts[4, 3, 5] = value  # and a zinger
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), diffraction=counts))
    masked = np.zeros((32, 32), bool)
    masked[:, 20] = masked[3, 5] = True
    np.testing.assert_array_equal(read.mask, masked)
    np.testing.assert_array_equal(read.counts, np.where(masked, 0, scan.counts))
    assert any('33 pixels hold' in decision for decision in read.decisions)


def test_the_root_of_a_mark_is_one_too(tmp_path: Path, scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[GAP] = 2**16 - 1
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), diffraction=np.sqrt(counts)))
    assert read.mask[:, 20].all()
    assert read.mask.sum() == 32


def test_counts_that_were_cut_off_are_refused(tmp_path: Path, scan: ScanData) -> None:
    counts = np.minimum(scan.counts, 255).astype(np.uint8)
    assert (counts == 255).any(axis=0).sum() > 12
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=counts)
    with pytest.raises(ScanDataError, match='hold 255, the largest value of an integer'):
        load_npz(path)
    # The same counts in a larger type are what they are.
    stored = counts.astype(np.uint16)
    read = load_npz(write(tmp_path / 't.npz', canonical(scan), diffraction=stored))
    assert not read.mask.any()


def test_marks_under_the_mask_are_no_news(tmp_path: Path, scan: ScanData) -> None:
    counts = scan.counts.astype(np.uint16)
    counts[GAP] = 2**16 - 1
    bad = np.zeros((32, 32), bool)
    bad[:, 20] = True
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=counts, bad_pixels=bad)
    read = load_npz(path)
    np.testing.assert_array_equal(read.mask, bad)
    assert not any('largest value' in decision for decision in read.decisions)
