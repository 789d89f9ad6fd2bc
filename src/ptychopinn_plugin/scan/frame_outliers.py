"""Frames that stand out by their photons: without light, or unlike their neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from ptychopinn_plugin.scan.data import BoolArray, FloatArray, PositionArray, ScanData
from ptychopinn_plugin.scan.frame_chunks import frame_chunks

Totals = npt.NDArray[np.float64]

# Share of the usual photons; what a closed shutter lets through, or a dark signal, may be more and
# is then named only.
LEAST_SHARE = 1e-3
# Where as many are usual, a frame gets none by chance once in 1e13.
CERTAIN_PHOTONS = 30.0
NEIGHBOURS = 8
# The photons of neighbouring frames, which overlap, differ by less on any sample.
UNLIKE_FACTOR = 5.0
# Standard deviations of photon noise.
CLEAR_DEVIATIONS = 6.0
# Distance of the quartiles of a normal distribution, in its standard deviations.
QUARTILES = 1.349
# Its standard deviation over its median absolute deviation.
DEVIATION_OF_MAD = 1.4826
# Runs of numbers that a sentence lists.
SHOWN_RUNS = 8
LEFT_OUT = 'were left out:'


def robust_deviation(values: npt.NDArray[np.float64]) -> float:
    """Return the standard deviation of a normal distribution with the median absolute deviation.

    Args:
        values: float64 (n,).
    """
    return DEVIATION_OF_MAD * float(np.median(np.abs(values - np.median(values))))


def frames_without_light(totals: Totals) -> npt.NDArray[np.bool_]:
    """Return which frames hold no light, bool (n,).

    Those are frames with less than a thousandth of the median of all frames that hold any photon.
    Where the median is a few photons, a frame may hold none by chance and counts as lit.

    Args:
        totals: float64 (n,), photons of each frame.
    """
    lit = totals[(totals > 0) & np.isfinite(totals)]
    usual = float(np.median(lit)) if lit.size else 0.0
    # Normalised frames may hold little in all and are no random numbers of photons.
    by_chance = usual < CERTAIN_PHOTONS and np.array_equal(lit, np.rint(lit))
    if by_chance or usual == 0:
        return np.zeros(len(totals), np.bool_)
    return np.asarray(totals <= LEAST_SHARE * usual)


def missing_frames(counts: FloatArray, mask: BoolArray | None) -> BoolArray:
    """Return of which frames every good pixel is NaN, bool (n,).

    Args:
        counts: float32 (n, H, W).
        mask: bool (H, W), True where bad; None, or of another shape, where every pixel counts.
    """
    good = np.ones(counts.shape[1:], np.bool_)
    if mask is not None and mask.shape == good.shape and not mask.all():
        good = ~mask
    missing = np.zeros(len(counts), np.bool_)
    row, column = np.argwhere(good)[0]
    for start, some in frame_chunks(counts):
        # One pixel decides for nearly all frames.
        for frame in np.flatnonzero(np.isnan(some[:, row, column])):
            missing[start + frame] = bool(np.isnan(some[frame][good]).all())
    return missing


def frames_unlike_neighbours(totals: Totals, positions_px: PositionArray) -> npt.NDArray[np.int64]:
    """Return the frames that are five times brighter or darker than those around them.

    Args:
        totals: float64 (n,), photons of each frame.
        positions_px: float64 (n, 2), object pixels.

    Returns:
        Their indices, int64, in ascending order. A frame is compared with the median of the eight
        nearest; differences that photon noise explains do not count.
    """
    around = _median_around(totals, positions_px)
    if around is None:
        return np.zeros(0, np.int64)
    larger, smaller = np.maximum(totals, around), np.minimum(totals, around)
    wild = (larger > UNLIKE_FACTOR * smaller) & (
        larger - smaller > CLEAR_DEVIATIONS * np.sqrt(larger)
    )
    return np.flatnonzero(wild)


def neighbour_variation(totals: Totals, positions_px: PositionArray) -> float:
    """Return the standard deviation of a frame's photons from the median around it, relative.

    From the quartiles, so that single frames do not count; 0 for a handful of frames.
    """
    around = _median_around(totals, positions_px)
    if around is None or not np.all(around > 0):
        return 0.0
    low, high = np.percentile(totals / around, (25, 75))
    return float(high - low) / QUARTILES


def _median_around(totals: Totals, positions_px: PositionArray) -> Totals | None:
    """Return the median photons of the eight frames nearest to each; None for too few frames."""
    if len(totals) <= NEIGHBOURS:
        return None
    _, nearest = KDTree(positions_px).query(positions_px, k=NEIGHBOURS + 1)
    # At a repeated position the first of the nearest may be another frame.
    others = nearest != np.arange(len(totals))[:, np.newaxis]
    others[others.all(axis=1), -1] = False
    found: Totals = np.median(totals[nearest[others].reshape(len(totals), NEIGHBOURS)], axis=1)
    return found


def frame_numbers(scan: ScanData, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the numbers that frames of a scan have in its source."""
    index = scan.metadata.scan_index
    return frames if index is None else index[frames]


def list_numbers(numbers: Sequence[int] | npt.NDArray[np.int64]) -> str:
    """Return numbers as text, runs shortened: '3, 7 to 12, 40'."""
    runs: list[tuple[int, int]] = []
    for number in (int(one) for one in numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    shown = [str(first) if first == last else f'{first} to {last}' for first, last in runs]
    return ', '.join(shown[:SHOWN_RUNS]) + (', ...' if len(shown) > SHOWN_RUNS else '')


def left_out_decisions(scan: ScanData) -> tuple[str, ...]:
    """Return what a scan's reader said of frames that it left out."""
    return tuple(decision for decision in scan.decisions if LEFT_OUT in decision)
