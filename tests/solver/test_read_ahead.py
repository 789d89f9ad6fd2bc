"""Batches of frames in a file: read ahead, and the memory that they leave behind is returned."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest

from ptychopinn_plugin.io import free_memory
from ptychopinn_plugin.solver import batches
from ptychopinn_plugin.solver.batches import BATCHES_BETWEEN_RETURNS, BatchReader, FrameBatch


def make_batches(count: int) -> list[FrameBatch]:
    corners, shifts = np.zeros((1, 2), np.int64), np.zeros((1, 2), np.float32)
    return [
        FrameBatch(
            np.array([number]),
            partial(np.full, (1, 2, 2), number, np.float32),
            corners,
            shifts,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize('in_thread', [True, False])
def test_every_batch_comes_with_its_own_frames(
    in_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    returns: list[int] = []
    monkeypatch.setattr(batches, 'return_unused_memory', lambda: returns.append(1))
    reader = BatchReader(in_thread=in_thread)
    # Subsets of a small scan have fewer batches, which count together.
    for count in (BATCHES_BETWEEN_RETURNS + 1, BATCHES_BETWEEN_RETURNS - 2, 2):
        found = [
            (int(batch.frames[0]), float(amplitudes.mean()))
            for batch, amplitudes in reader.read(
                make_batches(count), lambda batch: batch.amplitudes
            )
        ]
        assert found == [(number, float(number)) for number in range(count)]
    # Frames in memory come and go nowhere.
    assert len(returns) == (2 if in_thread else 0)


def test_returning_memory_raises_on_no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    free_memory.return_unused_memory()
    monkeypatch.setattr(sys, 'platform', 'darwin')
    free_memory.return_unused_memory()
