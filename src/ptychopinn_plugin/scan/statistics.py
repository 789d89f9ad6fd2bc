"""Statistics of frames, positions and probe that need no reconstruction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, median_filter
from scipy.spatial import KDTree

from ptychopinn_plugin.scan.data import BoolArray, ComplexArray, PositionArray, ScanData
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.photons import frame_photons

Image: TypeAlias = npt.NDArray[np.float64]
ZeroFrequencyPlace: TypeAlias = Literal['center', 'corner', 'top edge', 'left edge', 'unclear']

HOT_FACTOR = 20.0
FAR_FACTOR = 10.0
# Points at which the coverage is looked at: a share of 1 % comes out to a tenth of itself.
COVERAGE_POINTS = 10_000
# Fewer photons in a frame may fall on the same pixels in another one by chance.
DISTINCT_PHOTONS = 100.0
# Share of the pixels around a place that must not be masked to estimate its brightness.
LEAST_SEEN = 0.25
# The border of a frame is this part of its side wide, and has so many times less light than any
# border in a wrong order: 2 or more times for pupils that reach the border, 1.8 where light
# scattered by a strong object does.
BORDER_SHARE, CLEAR_BORDER = 32, 1.3
# A beam is off its place by more than this share of the frame where that makes frames and probe so
# much less alike: a real scan that came out well with 4 px of 128 became worse with 12.
FAR_BEAM, CLEAR_GAIN = 1 / 20, 0.1
# Axes along which an `fftshift` brings the zero frequency to pixel N//2.
SHIFTED_AXES: dict[ZeroFrequencyPlace, tuple[int, ...]] = {
    'center': (),
    'corner': (0, 1),
    'top edge': (0,),
    'left edge': (1,),
}


@dataclass(frozen=True)
class FrameStatistics:
    """One pass over the frames.

    Attributes:
        totals: float64 (n,), photons of each frame outside the mask.
        mean_frame: float64 (N, N), zero under the mask.
        peak: the highest count of any pixel.
        at_peak: how many pixels of all frames hold that count.
        repeated: int64, the frames that have the values of an earlier one at another position,
            ascending.
    """

    totals: npt.NDArray[np.float64]
    mean_frame: Image
    peak: float
    at_peak: int
    repeated: npt.NDArray[np.int64]


def frame_statistics(scan: ScanData) -> FrameStatistics:
    """Compute totals, mean and peak in one pass, a few frames at a time."""
    good = ~scan.mask
    totals = np.empty(scan.frame_count)
    summed = np.zeros(scan.mask.shape)
    peak, at_peak = -1.0, 0
    first_of: dict[bytes, int] = {}
    repeated: list[int] = []
    for start, frames in frame_chunks(scan.counts):
        # The masked pixels may hold anything, NaN too.
        clean = np.where(good, frames, 0)
        totals[start : start + len(frames)] = frame_photons(clean)
        repeated += _repeated(clean, start, scan.positions_px, first_of)
        summed += clean.sum(axis=0, dtype=np.float64)
        highest = float(clean.max())
        if highest > peak:
            peak, at_peak = highest, 0
        if highest == peak:
            at_peak += int(np.count_nonzero(clean == highest))
    mean = summed / scan.frame_count
    return FrameStatistics(totals, mean, peak, at_peak, np.asarray(repeated, np.int64))


def _repeated(
    frames: npt.NDArray[np.float32],
    start: int,
    positions: PositionArray,
    first_of: dict[bytes, int],
) -> list[int]:
    """Return those of some frames that repeat one at another position; remember the others."""
    found = []
    for number, frame in enumerate(frames, start):
        if float(frame.sum(dtype=np.float64)) < DISTINCT_PHOTONS:
            continue
        digest = hashlib.blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest()
        first = first_of.setdefault(digest, number)
        if not np.array_equal(positions[first], positions[number]):
            found.append(number)
    return found


def zero_frequency_place(mean_frame: Image, mask: BoolArray) -> ZeroFrequencyPlace:
    """Return where the zero frequency lies: at pixel N//2, at pixel 0, or unclear.

    At pixel 0 of both axes is the corner; of one axis, after an `fftshift` along the other one
    only, the middle of the top or of the left edge. Frames in the right order have the least light
    at their border, where the highest frequencies are; in any other order the border cuts through
    the pupil. The light around the place itself does not tell: a zone plate with a central stop
    leaves the middle of the pupil dark.

    Args:
        mean_frame: float64 (N, N).
        mask: bool (N, N), True where bad. A place that is masked may be bright or dark.
    """
    size = mean_frame.shape[0]
    near = np.abs(np.arange(size) - size // 2) <= max(1, size // 8)
    place = np.ix_(near, near)
    width = max(1, size // BORDER_SHARE)
    border = np.ones(mean_frame.shape, np.bool_)
    border[width:-width, width:-width] = False
    light: dict[ZeroFrequencyPlace, float] = {}
    for name, axes in SHIFTED_AXES.items():
        good = np.fft.fftshift(~mask, axes=axes)
        if good[place].mean() <= LEAST_SEEN or not good[border].any():
            return 'unclear'
        light[name] = float(np.fft.fftshift(mean_frame, axes=axes)[border & good].mean())
    darkest, *others = sorted(light, key=lambda name: light[name])
    return darkest if light[others[0]] > CLEAR_BORDER * light[darkest] else 'unclear'


def hot_pixels(mean_frame: Image, mask: BoolArray) -> list[tuple[int, int]]:
    """Return (row, column) of pixels far brighter than all around them, except the direct beam."""
    # Masked pixels get the value of the nearest good one: beside a beamstop the neighbours are not
    # dark.
    nearest = distance_transform_edt(mask, return_distances=False, return_indices=True)
    around = median_filter(mean_frame[tuple(nearest)], size=5, mode='nearest')
    # Where the neighbours hold no photon, a pixel is compared with the mean of the frame.
    floor = 0.1 * float(mean_frame.mean())
    hot = (mean_frame > HOT_FACTOR * (around + floor)) & ~mask
    middle = mean_frame.shape[0] // 2
    # The direct beam may be as narrow as a hot pixel.
    beam = slice(max(0, middle - 2), middle + 3)
    hot[beam, beam] = False
    return [(int(row), int(column)) for row, column in np.argwhere(hot)]


def beam_offset_px(mean_frame: Image, alone: Image, good: BoolArray) -> tuple[int, int]:
    """Return how far the light of the frames lies from where the probe has it, (rows, columns).

    (0, 0) where it is not far, or where frames that are moved back are not clearly more like the
    probe's: a sample may scatter to one side.

    Args:
        mean_frame: float64 (N, N).
        alone: float64 (N, N), the frame of the probe alone.
        good: bool (N, N), False where bad.
    """
    size = len(mean_frame)
    floor = float(np.median(mean_frame[good]))
    light = np.where(good & (mean_frame > floor), mean_frame - floor, 0)
    row, column = (
        round(float(_center(light, axis) - _center(np.where(good, alone, 0), axis)))
        for axis in (1, 0)
    )
    if np.hypot(row, column) <= size * FAR_BEAM:
        return 0, 0
    back = (-row, -column)
    moved, seen = np.roll(mean_frame, back, (0, 1)), np.roll(good, back, (0, 1))
    gain = correlation(moved, alone, good & seen) - correlation(mean_frame, alone, good)
    return (row, column) if gain > CLEAR_GAIN else (0, 0)


def _center(light: Image, axis: int) -> float:
    """Return the centre of light along the other axis, pixels."""
    profile = light.sum(axis=axis)
    return float(profile @ np.arange(len(profile)) / max(float(profile.sum()), 1e-300))


def probe_diameter_px(probe: ComplexArray, fraction: float = 0.9) -> float:
    """Return the diameter of the circle about the centroid that holds a fraction of the photons."""
    intensity = np.sum(np.abs(probe.astype(np.complex128)) ** 2, axis=0)
    total = intensity.sum()
    rows, columns = np.indices(intensity.shape)
    center = (intensity * rows).sum() / total, (intensity * columns).sum() / total
    radius = np.hypot(rows - center[0], columns - center[1]).ravel()
    order = np.argsort(radius)
    enclosed = np.cumsum(intensity.ravel()[order])
    inside = int(np.searchsorted(enclosed, fraction * total))
    return float(2 * radius[order[min(inside, radius.size - 1)]] + 1)


def neighbour_step_px(positions_px: PositionArray) -> float:
    """Return the median distance from a position to the nearest other one."""
    # A repeated position would be its own nearest neighbour.
    distinct = np.unique(positions_px, axis=0)
    distances, _ = KDTree(distinct).query(distinct, k=2)
    return float(np.median(distances[:, 1]))


def far_positions(positions_px: PositionArray, frame_size: int) -> npt.NDArray[np.int64]:
    """Return the frames that overlap no other one and lie far from the scan, int64, ascending.

    Those are frames whose nearest neighbour at another position is more than a frame away and more
    than ten times as far as the median frame's.
    """
    distinct, inverse = np.unique(positions_px, axis=0, return_inverse=True)
    distances, _ = KDTree(distinct).query(distinct, k=2)
    nearest = distances[:, 1]
    limit = max(float(frame_size), FAR_FACTOR * float(np.median(nearest)))
    return np.flatnonzero(nearest[inverse.ravel()] > limit)


def filled_share(positions_px: PositionArray, diameter_px: float) -> float:
    """Return which share of a scan's box lies within half a probe diameter of a position, about.

    The box is that of the positions with half a diameter around it.
    """
    first = positions_px.min(axis=0) - diameter_px / 2
    box = np.ptp(positions_px, axis=0) + diameter_px
    grid = np.random.default_rng(0).uniform(first, first + box, (COVERAGE_POINTS, 2))
    distances, _ = KDTree(positions_px).query(grid)
    return float(np.mean(distances <= diameter_px / 2))


def empty_object_frame(probe: ComplexArray) -> Image:
    """Return the frame that the probe alone would give, float64 (N, N), DC at N//2."""
    # The transform has its origin at index 0, the probe at N//2.
    waves = np.fft.ifftshift(probe.astype(np.complex128), axes=(1, 2))
    spectra = np.fft.fftshift(np.fft.fft2(waves, norm='ortho'), axes=(1, 2))
    return np.asarray(np.sum(np.abs(spectra) ** 2, axis=0))


def correlation(first: Image, second: Image, good: BoolArray) -> float:
    """Return Pearson's correlation of the amplitudes of two frames over the good pixels."""
    # The noise of the square root is about the same at any count.
    a, b = np.sqrt(first[good]), np.sqrt(second[good])
    a, b = a - a.mean(), b - b.mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > 0 else 0.0
