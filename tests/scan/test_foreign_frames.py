"""Frames that do not belong to a scan are left out where it is read; sound ones never are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.foreign_frames import foreign_frames
from ptychopinn_plugin.scan.photons import frame_photons
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write

Frame = npt.NDArray[np.float32]
SIZE = 32


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=SIZE, side=6, step_px=3.0)


def noise(frame: Frame) -> Frame:
    mean = float(frame.mean())
    return np.random.default_rng(2).poisson(mean, frame.shape).astype(np.float32)


def moved(frame: Frame) -> Frame:
    return np.roll(frame, (SIZE // 4, SIZE // 4), (0, 1))


def burst(frame: Frame) -> Frame:
    frame = noise(frame)
    frame[3:6, 4] = 50 * frame.max()
    return frame


def found(scan: ScanData, counts: Frame) -> list[int]:
    chosen = foreign_frames(counts, scan.mask, frame_photons(counts), scan.positions_px)
    return [int(frame) for frame in np.flatnonzero(chosen)]


@pytest.mark.parametrize('change', [noise, moved, burst])
def test_a_frame_that_does_not_belong_is_left_out_and_named(
    tmp_path: Path, scan: ScanData, change: Callable[[Frame], Frame]
) -> None:
    amplitudes = np.sqrt(scan.counts)
    amplitudes[7] = np.sqrt(change(scan.counts[7]))
    arrays = canonical(scan) | {'diffraction': amplitudes}
    read = load_npz(write(tmp_path / 's.npz', arrays))
    assert read.frame_count == scan.frame_count - 1
    assert read.metadata.scan_index is not None
    assert 7 not in read.metadata.scan_index
    assert any('unlike all others' in text and text.endswith(': 7') for text in read.decisions)


def test_a_frame_of_nan_is_left_out_and_named(tmp_path: Path, scan: ScanData) -> None:
    amplitudes = np.sqrt(scan.counts)
    amplitudes[4] = np.nan
    arrays = canonical(scan) | {'diffraction': amplitudes}
    read = load_npz(write(tmp_path / 's.npz', arrays))
    assert '1 of 36 frames with nothing but NaN were left out: 4' in read.decisions
    np.testing.assert_allclose(read.counts, np.delete(scan.counts, 4, 0), rtol=1e-5)


def test_sound_frames_are_kept(scan: ScanData) -> None:
    counts = scan.counts.copy()
    assert found(scan, counts) == []
    # What an opaque part lets through is no other state of the instrument.
    counts[5] = np.random.default_rng(1).poisson(0.02 * counts[5].mean(), counts[5].shape)
    assert found(scan, counts) == []


def test_many_unlike_frames_are_kept(scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[::6] = np.roll(counts[::6], (SIZE // 4, SIZE // 4), (1, 2))
    assert found(scan, counts) == []
    few = scan.counts.copy()
    few[::18] = np.roll(few[::18], (SIZE // 4, SIZE // 4), (1, 2))
    assert found(scan, few) == [0, 18]


def test_frames_whose_neighbours_are_unlike_too_are_kept(scan: ScanData) -> None:
    # A part of the sample that scatters all light, too small for the limit on their number.
    counts = np.concatenate([scan.counts] * 4)
    positions = np.concatenate([scan.positions_px + np.array([0, 100 * k]) for k in range(4)])
    distances = np.hypot(*(positions - positions.min(axis=0)).T)
    corner = np.argsort(distances)[:12]
    counts[corner] = np.roll(counts[corner], (SIZE // 4, SIZE // 4), (1, 2))
    chosen = foreign_frames(counts, scan.mask, frame_photons(counts), positions)
    assert len(corner) < 0.1 * len(counts)
    assert not chosen[corner[:3]].any()
