"""Counts below zero: marks of bad pixels, or noise of frames whose dark image was subtracted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.data import BoolArray, FloatArray
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.frame_source import apply_step, zero_pixels

# Noise is far below the highest count, and a part of the light. Values beyond are of another kind:
# integers that wrapped around, or the real part of a wave.
LOWEST, MOST = 0.1, 0.25
# Detectors mark gaps and dead pixels, not most of the frame.
MOST_MARKED = 0.5


@dataclass(frozen=True, eq=False)
class Extremes:
    """Of one pass over frames (n, H, W); pixels that are masked count nothing.

    Attributes:
        smallest: float32 (H, W), of each pixel; NaN where one of its values is.
        largest: float32 (H, W), likewise.
        missing: bool (H, W), True where every value is NaN.
        negative: how many values are below zero, of pixels that are not marked.
        negative_sum: their sum.
        positive_sum: the sum of those above zero, of the same pixels.
    """

    smallest: npt.NDArray[np.float32]
    largest: npt.NDArray[np.float32]
    missing: BoolArray
    negative: int
    negative_sum: float
    positive_sum: float

    @property
    def marked(self) -> BoolArray:
        """Pixels with the same negative value, or NaN, in all frames, bool (H, W)."""
        held = (self.smallest == self.largest) & (self.largest < 0)
        return np.asarray(self.missing | held, np.bool_)


def settle_negative_values(
    counts: FloatArray, mask: BoolArray, decisions: list[str]
) -> tuple[FloatArray, BoolArray, bool]:
    """Mask pixels that are marked as bad by a negative value, and set noise below zero to 0.

    A mark is the same negative value, or NaN, in all frames: Pilatus and Eiger files have -1 in
    gaps and -2 in dead pixels. What is neither a mark nor noise is left for the check of the scan.

    Args:
        counts: float32 (n, H, W), as stored; changed in place where it is an array.
        mask: bool (H, W), True where bad.
        decisions: what was masked or changed is added here.

    Returns:
        Counts, 0 at pixels that are marked; the mask with these; whether noise was below zero.
    """
    found = _extremes(counts, mask)
    if np.all(found.smallest >= 0):
        return counts, mask, False
    marked = found.marked & ~mask
    number = int(marked.sum())
    if number and len(counts) > 1 and number <= MOST_MARKED * mask.size:
        decisions.append(
            f'{number} pixels hold the same negative value, or NaN, in all frames, and were masked '
            'as bad'
        )
        mask = mask | marked
        counts = zero_pixels(counts, mask)
        found = _extremes(counts, mask)
    if not _is_noise(found, ~mask):
        return counts, mask, False
    share = -found.negative_sum / found.positive_sum
    decisions.append(
        f'{found.negative} values below zero were set to 0: noise of frames whose dark image was '
        f'subtracted, {share:.1%} of their light'
    )
    return apply_step(counts, _not_negative), mask, True


def _is_noise(found: Extremes, good: BoolArray) -> bool:
    """Return whether there are values below zero, and all are noise."""
    lowest = float(found.smallest[good].min(initial=math.inf))
    highest = float(found.largest[good].max(initial=0))
    # False with NaN.
    is_small = -lowest <= LOWEST * highest and -found.negative_sum <= MOST * found.positive_sum
    return found.negative > 0 and is_small


def _extremes(counts: FloatArray, mask: BoolArray) -> Extremes:
    shape = counts.shape[1:]
    smallest, largest = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32)
    missing, negative = np.ones(shape, np.bool_), 0
    below, above = 0.0, 0.0
    for _, some in frame_chunks(counts):
        np.minimum(smallest, some.min(axis=0), out=smallest)
        np.maximum(largest, some.max(axis=0), out=largest)
        missing &= np.isnan(some).all(axis=0)
        if some.min() >= 0:
            above += float(some.sum(dtype=np.float64, where=~mask))
            continue
        under = (some < 0) & ~mask
        negative += int(np.count_nonzero(under))
        below += float(some.sum(dtype=np.float64, where=under))
        above += float(some.sum(dtype=np.float64, where=~mask & ~under))
    return Extremes(smallest, largest, missing, negative, below, above)


def _not_negative(values: FloatArray) -> FloatArray:
    return np.maximum(values, 0, out=values)
