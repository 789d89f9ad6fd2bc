"""Steps in time of the photons of a scan: the beam changed, or a shutter or filter moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from ptychopinn_plugin.scan.data import PositionArray
from ptychopinn_plugin.scan.frame_outliers import robust_deviation

NEIGHBOURS = 8
# Frames on either side of a step, and pairs of neighbours across it, at least.
LEAST_FRAMES, LEAST_PAIRS = 8, 8
# Smallest step of the logarithm, a quarter of the photons; objects of strong absorption changed the
# photons between neighbouring frames on two sides of a moment by 0.17 at most, with 9 deviations.
LEAST_STEP = float(np.log(4 / 3))
CLEAR_DEVIATIONS = 12.0
# Moments whose median is taken, and the largest logarithm of a pair in the choice of these.
LIKELY_MOMENTS, MOST_OF_A_PAIR = 64, 1.0
# A frame is in several pairs.
PAIRS_OF_A_FRAME = 4.0


@dataclass(frozen=True)
class PhotonStep:
    """The clearest step of the photons.

    Attributes:
        frame: the first frame after it.
        ratio: photons after it over those before, for the same part of the object.
    """

    frame: int
    ratio: float


def photon_step(totals: npt.NDArray[np.float64], positions_px: PositionArray) -> PhotonStep | None:
    """Return the clearest step in time of the photons of neighbouring frames; None without one.

    Neighbouring frames show much the same part of the object. Of all pairs that were taken before
    and after a moment the median logarithm of the ratio of their photons is 0 but for the object,
    where the beam has not changed.

    Args:
        totals: float64 (n,), photons of each frame, in the order that they were taken.
        positions_px: float64 (n, 2), object pixels.
    """
    count = len(totals)
    if count < 2 * LEAST_FRAMES or not np.all(totals > 0):
        return None
    first, second = _neighbour_pairs(positions_px)
    change = np.log(totals[second] / totals[first])
    found, largest = None, LEAST_STEP
    for frame in _likely_moments(first, second, change, count):
        across = change[(first < frame) & (second >= frame)]
        step = float(np.median(across))
        deviation = robust_deviation(across) / np.sqrt(len(across) / PAIRS_OF_A_FRAME)
        if abs(step) > largest and abs(step) > CLEAR_DEVIATIONS * deviation:
            found, largest = PhotonStep(frame, float(np.exp(step))), abs(step)
    return found


def _likely_moments(
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    change: npt.NDArray[np.float64],
    count: int,
) -> list[int]:
    """Return the moments across which pairs change most in the mean, in ascending order."""
    # The median needs all pairs of a moment, the mean of all moments one pass over the pairs.
    limited = np.clip(change, -MOST_OF_A_PAIR, MOST_OF_A_PAIR)

    def across(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        begun = np.bincount(first + 1, weights, count + 1)
        ended = np.bincount(second + 1, weights, count + 1)
        return np.cumsum(begun - ended)[:count]

    pairs = np.rint(across(np.ones(len(change))))
    mean = np.abs(across(limited)) / np.maximum(pairs, 1)
    mean[pairs < LEAST_PAIRS] = 0
    mean[:LEAST_FRAMES] = 0
    mean[count - LEAST_FRAMES + 1 :] = 0
    likely = np.argsort(mean)[-LIKELY_MOMENTS:]
    return sorted(int(frame) for frame in likely if mean[frame] > 0)


def _neighbour_pairs(
    positions_px: PositionArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the frames of each pair of neighbours, the earlier one first."""
    count = len(positions_px)
    _, nearest = KDTree(positions_px).query(positions_px, k=NEIGHBOURS + 1)
    one = np.repeat(np.arange(count), NEIGHBOURS + 1)
    other = nearest.ravel().astype(np.int64)
    # A pair whose frames are among each other's nearest counts once.
    pairs = np.unique(np.sort(np.stack([one, other], axis=1), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    return pairs[:, 0], pairs[:, 1]
