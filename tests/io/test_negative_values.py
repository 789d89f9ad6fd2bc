"""Values below zero are marks of bad pixels, noise after a dark image was subtracted, or faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.frame_files import FramesInMemory
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=32, side=3)


@pytest.mark.parametrize('frames_in_memory', ['yes', 'no'])
@pytest.mark.parametrize(
    ('dtype', 'marks'), [('int32', (-1, -2)), ('float32', (-1, -2)), ('float64', (np.nan, -1))]
)
def test_pixels_with_one_negative_value_in_all_frames_are_masked(
    tmp_path: Path,
    scan: ScanData,
    dtype: str,
    marks: tuple[float, float],
    frames_in_memory: FramesInMemory,
) -> None:
    counts = scan.counts.astype(dtype)
    counts[:, 20], counts[:, 3, 5] = marks
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=counts)
    read = load_npz(path, frames_in_memory=frames_in_memory)
    masked = np.zeros((32, 32), bool)
    masked[20] = masked[3, 5] = True
    np.testing.assert_array_equal(read.mask, masked)
    np.testing.assert_array_equal(read.counts[:], np.where(masked, 0, scan.counts))
    assert any('33 pixels hold the same negative value' in text for text in read.decisions)


@pytest.mark.parametrize('frames_in_memory', ['yes', 'no'])
@pytest.mark.parametrize('is_whole', [True, False])
def test_noise_below_zero_becomes_zero(
    tmp_path: Path, scan: ScanData, frames_in_memory: FramesInMemory, *, is_whole: bool
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.6, scan.counts.shape)
    counts = (scan.counts + noise).astype(np.float32)
    counts = np.rint(counts) if is_whole else counts
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=counts)
    read = load_npz(path, frames_in_memory=frames_in_memory)
    np.testing.assert_array_equal(read.counts[:], np.maximum(counts, 0))
    assert not read.mask.any()
    said = ' '.join(read.decisions)
    assert f'{np.count_nonzero(counts < 0)} values below zero were set to 0' in said
    assert 'holds counts' in said


def test_large_values_below_zero_are_refused(tmp_path: Path, scan: ScanData) -> None:
    counts = scan.counts.astype(np.int32)
    counts[4, 7, 11] = -int(scan.counts.max())
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=counts)
    with pytest.raises(ScanDataError, match=r'counts\[4, 7, 11\] is negative'):
        load_npz(path)


def test_much_light_below_zero_is_refused(tmp_path: Path, scan: ScanData) -> None:
    counts = scan.counts - 0.09 * scan.counts.max()
    path = write(
        tmp_path / 's.npz', canonical(scan), diffraction=counts, measurement_domain='counts'
    )
    with pytest.raises(ScanDataError, match='is negative'):
        load_npz(path)


def test_amplitudes_have_no_noise_below_zero(tmp_path: Path, scan: ScanData) -> None:
    amplitude = np.sqrt(scan.counts)
    amplitude[4, 7, 11] = -0.01
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=amplitude)
    with pytest.raises(ScanDataError, match='is negative'):
        load_npz(path, domain='amplitude')
