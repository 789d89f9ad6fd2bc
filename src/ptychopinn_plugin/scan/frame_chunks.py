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
    frame_bytes = max(1, frames[0].nbytes) if len(frames) else 1
    step = max(1, CHUNK_BYTES // frame_bytes)
    for start in range(0, len(frames), step):
        yield start, frames[start : start + step]
