"""Pixels that hold the largest value of an integer: marks of bad pixels, or counts cut off."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan.data import BoolArray, FloatArray
from ptychopinn_plugin.scan.frame_chunks import frame_chunks

# Detectors mark bad pixels with the largest value of their integers; it stays when a file is
# converted to another type.
MARKS = tuple(float(np.float32(np.iinfo(one).max)) for one in ('uint16', 'int32', 'uint32'))
# Share of the pixels that may hold it in some frames only: zingers, not a saturated beam.
FEW_PIXELS = 0.01
# Share of the frames that a pixel marked as bad holds it in, at least.
MOST_FRAMES = 0.9
SHOWN_PIXELS = 5


def mask_largest_values(
    counts: FloatArray, mask: BoolArray, dtype: np.dtype[Any], decisions: list[str]
) -> BoolArray:
    """Return a mask with the pixels that hold the largest value of an integer.

    Only the highest value of the frames is compared, with that of their own dtype where it is an
    integer and with those of 16 and 32 bits. Such a pixel is masked as bad.

    Args:
        counts: float32 (n, H, W), as stored, bad pixels zero.
        mask: bool (H, W), True where bad.
        dtype: that the frames were stored with.
        decisions: what was masked is added here.

    Raises:
        ScanDataError: many pixels hold it in some frames and not in others: counts were cut off.
    """
    own = (float(np.float32(np.iinfo(dtype).max)),) if dtype.kind in 'ui' else ()
    masked = mask.copy()
    while (peak := _peak(counts, masked)) in (*own, *MARKS):
        found = _frames_holding(counts, peak) * ~masked
        often = found >= MOST_FRAMES * len(counts)
        sometimes = int(np.count_nonzero(found[~often]))
        if sometimes > FEW_PIXELS * mask.size:
            raise ScanDataError(
                [
                    f'{sometimes} pixels hold {peak:.0f}, the largest value of an integer, in some '
                    'frames and not in others: the counts were cut off, so the detector was '
                    'saturated or the dtype too small; record fewer photons or mask these pixels'
                ]
            )
        masked |= found > 0
        pixels = [(int(row), int(column)) for row, column in np.argwhere(found)]
        shown = ', '.join(map(str, pixels[:SHOWN_PIXELS]))
        decisions.append(
            f'{len(pixels)} pixels hold {peak:.0f}, the largest value of an integer, and were '
            f'masked as bad: {shown}{", ..." if len(pixels) > SHOWN_PIXELS else ""}'
        )
    return masked


def _peak(counts: FloatArray, masked: BoolArray) -> float:
    """Return the highest finite count outside the mask."""
    highest = np.zeros(counts.shape[1:], np.float32)
    for _, some in frame_chunks(counts):
        np.fmax(highest, some.max(axis=0), out=highest)
    return float(np.max(highest, where=~masked & np.isfinite(highest), initial=0))


def _frames_holding(counts: FloatArray, value: float) -> npt.NDArray[np.int64]:
    """Return in how many frames each pixel holds a value, int64 (H, W)."""
    held = np.zeros(counts.shape[1:], np.int64)
    for _, some in frame_chunks(counts):
        held += np.count_nonzero(some == np.float32(value), axis=0)
    return held
