"""Iteration over stacks of frames, a few megabytes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

# Large enough for NumPy to work at full speed, small beside any stack of frames.
CHUNK_BYTES = 4 * 2**20
Value = TypeVar('Value', bound=np.generic)


def frame_chunks(frames: npt.NDArray[Value]) -> Iterator[tuple[int, npt.NDArray[Value]]]:
    """Yield (index of the first frame, view of some frames), about 4 MB at a time."""
    for some in frame_numbers(len(frames), frames.nbytes):
        start = int(some[0])
        yield start, frames[start : start + len(some)]


def frame_numbers(count: int, nbytes: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the numbers of some frames of a stack, int64 (b,), for about 4 MB at a time.

    Args:
        count: of the frames.
        nbytes: size of the stack.
    """
    frame_bytes = max(1, nbytes // count) if count else 1
    step = max(1, CHUNK_BYTES // frame_bytes)
    for start in range(0, count, step):
        yield np.arange(start, min(start + step, count), dtype=np.int64)
