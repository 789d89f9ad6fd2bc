"""Bad detector pixels found in the frames: hot, and dark between bright ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ptychopinn_plugin.scan import statistics as stats
from ptychopinn_plugin.scan.data import BoolArray, ScanData

Image = npt.NDArray[np.float64]

# Photons of all frames together: a pixel with three or less is dark, and one with thirty bright;
# chance gives a pixel between bright ones that few once in 1e8.
DARK_PHOTONS, BRIGHT_PHOTONS = 3.0, 30.0
# Likewise above a background that all pixels have.
DARK_FACTOR, BRIGHT_FACTOR = 1.5, 10.0
# Share of the pixels that are taken for the darkest.
DARKEST = 0.02
# Larger regions are beamstops or gaps between modules, smaller ones dead pixels.
DEAD_PIXELS = 4


@dataclass(frozen=True, eq=False)
class BadPixels:
    """Pixels that a mask should have, beside those that are masked already.

    Attributes:
        hot: bool (N, N), far brighter than those around them.
        dark: bool (N, N), without light between pixels with light.
    """

    hot: BoolArray
    dark: BoolArray

    def dark_regions(self) -> tuple[str, ...]:
        """Return where the dark pixels are, a few words each."""
        labels, count = ndimage.label(self.dark, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        boxes = ndimage.find_objects(labels)
        large = [box for box, size in zip(boxes, sizes, strict=True) if size > DEAD_PIXELS]
        dead = int(sizes[sizes <= DEAD_PIXELS].sum())
        found = [f'a beamstop or gap at {_extent(box)}' for box in large]
        return (*([f'{dead} dead pixels'] if dead else []), *found)


def find_bad_pixels(scan: ScanData, mean_frame: Image) -> BadPixels:
    """Return the pixels that are hot, or that have no light between pixels with light.

    A dark pixel is found where the run of dark or masked pixels along its row or its column ends at
    a bright pixel on both sides, so that the dark margin of a frame is none.

    Args:
        scan: the scan.
        mean_frame: float64 (N, N), of the scan, zero where masked.
    """
    photons, good = mean_frame * scan.frame_count, ~scan.mask
    floor = float(np.quantile(photons[good], DARKEST))
    dark = good & (photons <= DARK_FACTOR * floor + DARK_PHOTONS)
    bright = good & (photons >= BRIGHT_FACTOR * floor + BRIGHT_PHOTONS)
    passed = dark | ~good
    enclosed = _enclosed(passed, bright) | _enclosed(passed.T, bright.T).T
    enclosed &= dark & ~_dark_in_pupil(scan)
    # Beside a dark region the last bright pixel is not a hot one.
    hot = np.zeros_like(dark)
    for row, column in stats.hot_pixels(mean_frame, scan.mask | enclosed):
        hot[row, column] = True
    return BadPixels(hot, enclosed)


def _enclosed(passed: BoolArray, bright: BoolArray) -> BoolArray:
    """Return which pixels of runs along the rows lie between two bright pixels."""
    before = _ends_bright(passed, bright)
    behind = _ends_bright(passed[:, ::-1], bright[:, ::-1])[:, ::-1]
    return passed & before & behind


def _ends_bright(passed: BoolArray, bright: BoolArray) -> BoolArray:
    """Return whether the first pixel to the left that ends a run is bright."""
    columns = np.broadcast_to(np.arange(passed.shape[1]), passed.shape)
    last = np.maximum.accumulate(np.where(passed, -1, columns), axis=1)
    found = np.take_along_axis(bright, np.maximum(last, 0), axis=1)
    return np.asarray(found & (last >= 0))


def _dark_in_pupil(scan: ScanData) -> BoolArray:
    """Return the pixels that the probe leaves dark within its light, as a central stop does."""
    photons = stats.empty_object_frame(scan.probe) * scan.frame_count
    filled = ndimage.grey_closing(photons, size=max(3, scan.frame_size // 4))
    return np.asarray((photons < BRIGHT_PHOTONS) & (filled > BRIGHT_FACTOR * BRIGHT_PHOTONS))


def _extent(box: tuple[slice, slice]) -> str:
    rows, columns = box
    return f'rows {rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}'
