"""The gain of frames whose values are photon counts times one factor."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from ptychopinn_plugin.scan.data import FloatArray
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.frame_source import apply_step

# Float32 keeps a value and the gain to 6e-8 each, hence their ratio to 1.2e-7 of itself.
RATIO_TOLERANCE = 2e-7
# Products that were computed in float32 before they were stored miss by a little more.
LEAST_TOLERANCE = 1e-3
# A ratio that is off by as much may be off by anything.
MOST_TOLERANCE = 0.2
# With one value beside zero, counts and amplitudes look alike.
LEAST_LARGEST_COUNT = 2


def gain_of(values: FloatArray) -> float | None:
    """Return the gain where all values are whole multiples of the smallest one above zero.

    Photon counts times a gain are: somewhere a pixel has one photon. Their square roots are not.
    Where the square of the smallest value is a whole number, they are taken for such roots.

    Args:
        values: float32 (n, H, W), as stored, 0 where masked.

    Returns:
        The smallest value above zero; None where the values are no multiples of it, not finite or
        below zero, or where none is twice as large.
    """
    gain = min((_smallest(some) for _, some in frame_chunks(values)), default=math.inf)
    if not math.isfinite(gain) or abs(gain**2 - round(gain**2)) <= RATIO_TOLERANCE * gain**2:
        return None
    largest = 0.0
    for _, some in frame_chunks(values):
        ratios = some.astype(np.float64) / gain
        # NaN and infinite values count as no multiples; the check of the scan reports them.
        with np.errstate(invalid='ignore'):
            off = np.abs(ratios - np.rint(ratios))
        allowed = np.minimum(LEAST_TOLERANCE + RATIO_TOLERANCE * ratios, MOST_TOLERANCE)
        if not np.all((off <= allowed) & (ratios >= 0)):
            return None
        largest = max(largest, float(ratios.max(initial=0)))
    return gain if round(largest) >= LEAST_LARGEST_COUNT else None


def without_gain(values: FloatArray, gain: float) -> FloatArray:
    """Return values divided by their gain, whole numbers, without a copy, see `apply_step`."""
    return apply_step(values, partial(_divided, gain=gain))


def _smallest(values: FloatArray) -> float:
    """Return the smallest value above zero, infinite where there is none."""
    return float(np.min(values, where=values > 0, initial=np.inf))


def _divided(values: FloatArray, gain: float) -> FloatArray:
    np.divide(values, np.float32(gain), out=values)
    return np.rint(values, out=values)
