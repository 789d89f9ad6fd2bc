"""Frames that belong to no scan of a sample: noise, a spike, or the beam at another place."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from ptychopinn_plugin.scan.data import BoolArray, FloatArray, PositionArray
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.frame_outliers import robust_deviation

Floats: TypeAlias = npt.NDArray[np.float64]

# Blocks along a side of a frame: coarser than speckles and photon noise, finer than the pupil.
BLOCKS = 8
# Of a block that is not masked, at least.
LEAST_GOOD = 0.5
# Fewer, behind a mask, correlate by chance.
LEAST_BLOCKS = 16
NEIGHBOURS = 8
# Fewer frames have no usual correlation.
LEAST_FRAMES = 16
# Over 90 scans (star, bars, phases of 4 rad, 1e3 to 1e6 photons a frame) no sound frame had less
# than 0.59 of the median correlation; of flat noise, and of a beam moved by a quarter of a frame,
# the most was 0.44. A beam moved by less may not be found.
FOREIGN_SHARE = 0.5
# Robust standard deviations below the median: where sound frames differ much, as those of a star
# with 1 standard deviation of 0.13, they were less than 3 below.
CLEAR_DEVIATIONS = 4.0
# Of fewer photons the distribution is chance. Frames with a smaller share of the photons of those
# around them are what an opaque part of the sample lets through, and change an object little.
LEAST_PHOTONS, LEAST_SHARE = 300.0, 0.1
# More frames are no exceptions, but another state of the instrument.
MOST_FOREIGN = 0.1


def foreign_frames(
    counts: FloatArray, mask: BoolArray, totals: Floats, positions_px: PositionArray
) -> BoolArray:
    """Return which frames certainly do not belong to the scan, bool (n,).

    The amplitudes of a frame, summed over blocks of pixels, are correlated with the median of all
    frames. A frame is foreign where its correlation is less than half the median correlation, more
    than four robust standard deviations below it, and less than half of that of the eight nearest
    frames, which overlap and scatter as strongly, and which are not below these limits
    themselves. Where more than a tenth of the frames are foreign, none is taken for such.

    Args:
        counts: float32 (n, N, N), finite, 0 at bad pixels.
        mask: bool (N, N), True where the pixel is bad.
        totals: float64 (n,), photons of each frame.
        positions_px: float64 (n, 2), object pixels.
    """
    none = np.zeros(len(counts), np.bool_)
    if len(counts) < LEAST_FRAMES or not np.isfinite(positions_px).all():
        return none
    amplitudes = block_amplitudes(counts, mask)
    if amplitudes.shape[1] < LEAST_BLOCKS:
        return none
    likeness = correlations(amplitudes)
    median = float(np.median(likeness))
    deviation = robust_deviation(likeness)
    limit = min(FOREIGN_SHARE * median, median - CLEAR_DEVIATIONS * deviation)
    if not np.any(likeness < limit):
        return none
    _, nearest = KDTree(positions_px).query(positions_px, k=NEIGHBOURS + 1)
    around = np.median(likeness[nearest], axis=1)
    usual = np.median(totals[nearest], axis=1)
    is_bright = totals > np.maximum(LEAST_PHOTONS, LEAST_SHARE * usual)
    is_alone = (around >= limit) & (likeness < FOREIGN_SHARE * around)
    found = (likeness < limit) & is_alone & is_bright
    return none if found.mean() > MOST_FOREIGN else np.asarray(found, np.bool_)


def block_amplitudes(counts: FloatArray, mask: BoolArray) -> Floats:
    """Return the root of the mean counts of blocks of pixels, float64 (n, blocks).

    Blocks that are masked for the most part are left out.
    """
    size = counts.shape[1]
    side = max(1, size // BLOCKS)
    edges = np.arange(0, size - side + 1, side)

    def sums(values: npt.NDArray[np.generic]) -> Floats:
        rows = np.add.reduceat(values, edges, axis=1, dtype=np.float64)
        return np.asarray(np.add.reduceat(rows, edges, axis=2)).reshape(len(values), -1)

    good = sums(~mask[np.newaxis])[0]
    area = sums(np.ones((1, *mask.shape)))[0]
    seen = good >= LEAST_GOOD * area
    means = np.empty((len(counts), int(seen.sum())))
    for start, some in frame_chunks(counts):
        means[start : start + len(some)] = sums(some)[:, seen] / good[seen]
    return np.sqrt(np.maximum(means, 0))


def correlations(amplitudes: Floats) -> Floats:
    """Return Pearson's correlation of each row with the median of all rows, float64 (n,)."""
    apart = amplitudes - amplitudes.mean(axis=1, keepdims=True)
    apart /= np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-300)
    middle = np.median(apart, axis=0)
    return np.asarray(apart @ (middle / max(float(np.linalg.norm(middle)), 1e-300)))
