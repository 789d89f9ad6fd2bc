"""Frames assigned into subsets: every frame once, where it belongs, without its bad pixels."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.solver import Problem, split_frames
from ptychopinn_plugin.solver.batches import FrameBatch
from tests.helpers import make_scan
from tests.solver.scans import Values, known_scan

MAX_FRAMES = 40


@functools.cache
def numbered_scan(frames: int, modes: int = 1) -> ScanData:
    """Return a scan whose frame number k holds (k + 1)**2 counts in each pixel."""
    counts = np.broadcast_to(
        (np.arange(1.0, frames + 1) ** 2)[:, None, None], (frames, 4, 4)
    ).astype(np.float32)
    rng = np.random.default_rng(frames)
    return ScanData(
        counts=counts,
        positions_px=rng.uniform(0, 20, (frames, 2)),
        probe=np.ones((modes, 4, 4), np.complex64),
        mask=np.zeros((4, 4), dtype=bool),
    )


def frame_numbers(subsets: list[list[FrameBatch]]) -> list[int]:
    """Return the numbers of all frames in the order that they are visited."""
    return [
        round(float(frame[0, 0])) - 1
        for subset in subsets
        for batch in subset
        for frame in batch.amplitudes
    ]


@given(
    frames=st.integers(2, MAX_FRAMES),
    subsets=st.integers(1, 64),
    batch_pixels=st.integers(1, 1000),
    modes=st.integers(1, 3),
    seed=st.integers(0, 5),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_every_frame_is_in_one_batch(
    frames: int, subsets: int, batch_pixels: int, modes: int, seed: int
) -> None:
    scan = numbered_scan(frames, modes)
    assigned = split_frames(scan, Canvas.for_scan(scan), subsets, batch_pixels, seed)
    assert sorted(frame_numbers(assigned)) == list(range(frames))
    assert len(assigned) == min(subsets, frames)
    sizes = [sum(len(batch.amplitudes) for batch in subset) for subset in assigned]
    assert max(sizes) - min(sizes) <= 1
    most = -(-5 * max(1, batch_pixels // 16) // 4)
    assert all(1 <= len(batch.amplitudes) <= most for subset in assigned for batch in subset)
    nearest = np.rint(scan.positions_px)
    origin = np.asarray(Canvas.for_scan(scan).origin_px)
    for batch in (batch for subset in assigned for batch in subset):
        numbers = frame_numbers([[batch]])
        found = batch.corners + origin + 2 + batch.shifts_px
        np.testing.assert_allclose(found, scan.positions_px[numbers], atol=1e-5)
        np.testing.assert_array_equal(batch.corners + origin + 2, nearest[numbers])


@given(frames=st.integers(2, MAX_FRAMES), subsets=st.integers(1, 20))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_merging_keeps_every_frame_and_halves_the_subsets(frames: int, subsets: int) -> None:
    problem = Problem.for_scan(NumpyOps(), numbered_scan(frames), subsets, fixed_probe=True)
    while len(problem.subsets) > 1:
        before = len(problem.subsets)
        problem.merge_subsets()
        assert len(problem.subsets) == (before + 1) // 2
        assert sorted(frame_numbers(problem.subsets)) == list(range(frames))


def test_subsets_are_random_but_repeatable() -> None:
    scan = numbered_scan(MAX_FRAMES)
    first, again, other = (
        frame_numbers(split_frames(scan, Canvas.for_scan(scan), 4, 64, seed)) for seed in (0, 0, 1)
    )
    assert first == again != other
    # A run of neighbours in one subset would leave the rest of the object without an update.
    spread = np.diff(sorted(first[: MAX_FRAMES // 4]))
    assert len(set(spread.tolist())) > 2


def test_bad_pixels_are_never_read() -> None:
    scan = known_scan(side=3, bad_pixels=50).scan
    bad = np.resize([np.nan, np.inf, -3, 1e30], scan.counts.shape).astype(np.float32)
    spoilt = dataclasses.replace(scan, counts=np.where(scan.mask, bad, scan.counts))
    for batches in zip(*(_batches(one) for one in (scan, spoilt)), strict=True):
        np.testing.assert_array_equal(batches[0].amplitudes, batches[1].amplitudes)


def _batches(scan: ScanData) -> list[FrameBatch]:
    return [
        batch for subset in split_frames(scan, Canvas.for_scan(scan), 2, 4096) for batch in subset
    ]


@pytest.mark.parametrize('size', [4, 5])
def test_the_zero_frequency_comes_first(size: int) -> None:
    counts: Values = np.zeros((2, size, size), np.float32)
    counts[:, size // 2, size // 2] = 9
    counts[:, size // 2 + 1, size // 2] = 4
    scan = dataclasses.replace(
        make_scan(frame_size=size, side=2).subset(np.arange(2)), counts=counts
    )
    for batch in _batches(scan):
        wanted = np.zeros((size, size), np.float32)
        wanted[0, 0], wanted[1, 0] = 3, 2
        np.testing.assert_array_equal(batch.amplitudes[0], wanted)
