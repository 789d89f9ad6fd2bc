"""Counts as files keep them: whole ones as integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychopinn_plugin.scan.data import FloatArray
from ptychopinn_plugin.scan.frame_chunks import frame_chunks


def counts_dtype(counts: FloatArray) -> np.dtype[Any]:
    """Return the smaller of the usual integer dtypes that holds whole counts, float32 for others.

    Args:
        counts: float32 (n, N, N), not negative.
    """
    peak = 0.0
    for _, some in frame_chunks(counts):
        if not np.array_equal(some, np.rint(some)):
            return np.dtype(np.float32)
        peak = max(peak, float(some.max(initial=0.0)))
    # Readers take an integer dtype for counts.
    for dtype in (np.uint16, np.uint32):
        if peak <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.float32)
