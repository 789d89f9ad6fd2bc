"""Photons of the frames of a scan, summed here and nowhere else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.data import BoolArray, FloatArray, ScanData
from ptychopinn_plugin.scan.frame_chunks import frame_chunks


def frame_photons(counts: FloatArray, mask: BoolArray | None = None) -> npt.NDArray[np.float64]:
    """Sum the photons of each frame, bad pixels left out.

    Args:
        counts: float32 (n, N, N), photons; the values of bad pixels may be anything.
        mask: bool (N, N), True where the pixel is bad; None where every pixel counts.

    Returns:
        float64 (n,).
    """
    totals = np.empty(len(counts))
    # No copy of the frames where no pixel is bad.
    if mask is not None and not mask.any():
        mask = None
    for start, some in frame_chunks(counts):
        good = some if mask is None else np.where(mask, np.float32(0), some)
        # float32 counts single photons up to 2^24 only.
        totals[start : start + len(some)] = good.sum(axis=(1, 2), dtype=np.float64)
    return totals


def mean_photons(scan: ScanData) -> float:
    """Return the mean photons a frame of a scan, bad pixels left out."""
    return float(frame_photons(scan.counts, scan.mask).mean())
