"""Photons of the frames of a scan."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.checks import frame_chunks
from ptychopinn_plugin.scan.data import FloatArray


def frame_totals(frames: FloatArray) -> npt.NDArray[np.float64]:
    """Return the sum of each frame, float64 (n,)."""
    totals = np.empty(len(frames))
    for start, some in frame_chunks(frames):
        totals[start : start + len(some)] = some.sum(axis=(1, 2), dtype=np.float64)
    return totals
