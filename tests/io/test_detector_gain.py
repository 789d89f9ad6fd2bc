"""Float frames whose values are multiples of one step are photon counts times a gain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.io.detector_gain import gain_of
from ptychopinn_plugin.io.frame_files import FramesInMemory
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=32, side=4)


def times_gain(counts: npt.NDArray[np.float32], gain: float) -> npt.NDArray[np.float32]:
    return (counts.astype(np.float64) * gain).astype(np.float32)


@pytest.mark.parametrize('frames_in_memory', ['yes', 'no'])
@pytest.mark.parametrize('dtype', ['float32', 'float64'])
@pytest.mark.parametrize('gain', [3.7, 0.01, 'normalised'])
def test_counts_times_a_gain_are_divided_by_it(
    tmp_path: Path,
    scan: ScanData,
    gain: float | str,
    dtype: str,
    frames_in_memory: FramesInMemory,
) -> None:
    factor = gain if isinstance(gain, float) else 1 / float(scan.counts.max())
    values = (scan.counts.astype(np.float64) * factor).astype(dtype)
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=values)
    read = load_npz(path, frames_in_memory=frames_in_memory)
    np.testing.assert_array_equal(read.counts[:], scan.counts)
    np.testing.assert_array_equal(read.probe, scan.probe)
    assert any(f'whole multiple of {factor:.6g}' in text for text in read.decisions)


def test_a_background_and_a_probe_in_the_same_unit_are_divided_too(
    tmp_path: Path, scan: ScanData
) -> None:
    background = np.full((32, 32), 3.7 * 2, np.float32)
    path = write(
        tmp_path / 's.npz',
        canonical(scan),
        diffraction=times_gain(scan.counts, 3.7),
        probeGuess=scan.probe * np.float32(np.sqrt(3.7)),
        background=background,
    )
    read = load_npz(path)
    np.testing.assert_allclose(read.probe, scan.probe, rtol=1e-5)
    assert read.estimates.background is not None
    np.testing.assert_allclose(read.estimates.background, 2, rtol=1e-5)


@pytest.mark.parametrize('asked', ['counts', 'amplitude'])
def test_a_domain_that_is_asked_for_holds(tmp_path: Path, scan: ScanData, asked: str) -> None:
    values = times_gain(scan.counts, 3.7)
    path = write(tmp_path / 's.npz', canonical(scan), diffraction=values)
    read = load_npz(path, domain='counts' if asked == 'counts' else 'amplitude')
    np.testing.assert_allclose(read.counts, values if asked == 'counts' else values**2, rtol=1e-6)


@pytest.mark.parametrize('unit', [1.0, 0.37])
def test_roots_of_counts_stay_amplitudes(tmp_path: Path, scan: ScanData, unit: float) -> None:
    values = np.sqrt(scan.counts) * np.float32(unit)
    assert gain_of(values) is None
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), diffraction=values))
    assert any('holds amplitude' in text for text in read.decisions)


def test_rounded_amplitudes_with_the_photons_of_the_probe_stay_amplitudes(
    tmp_path: Path, scan: ScanData
) -> None:
    smooth = np.sqrt(scan.counts + 0.3) + np.linspace(0, 0.5, 32)
    values = np.round(smooth, 2)
    values[:, 0, :2] = 0.01, 0.02
    values = values.astype(np.float32)
    assert gain_of(values) == pytest.approx(0.01)
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), diffraction=values))
    assert any('holds amplitude' in text for text in read.decisions)
    np.testing.assert_allclose(read.counts, values**2, rtol=1e-5)


@pytest.mark.parametrize(
    'values',
    [
        [0, 0, 0.37, 0.37],
        [0, 0.37, np.nan, 0.74],
        [0, 0.37, np.inf, 0.74],
        [0.37, 0.74, 1.2],
        [0.37, 0.74, -0.37],
        [0.0, 0.0],
        [1e-12, 0.3, 0.5],
    ],
)
def test_values_without_a_gain(values: list[float]) -> None:
    assert gain_of(np.array(values, np.float32)[None, None]) is None
