"""Cutting patches out of an object canvas and adding them to it, in NumPy.

Every other place that cuts or adds patches, but for the frameworks' own `Ops`, calls these.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import PatchError
from ptychopinn_plugin.scan.canvas import LEAST_COVERAGE, Canvas, patch_placement

ComplexArray = npt.NDArray[np.complex64]
Positions = npt.NDArray[np.float64]
Corners = npt.NDArray[np.int64]
Value = TypeVar('Value', bound=np.generic)


def cut_patches(canvas: npt.NDArray[Value], corners: Corners, size: int) -> npt.NDArray[Value]:
    """Cut square patches out of a canvas.

    Args:
        canvas: (H, W).
        corners: int64 (..., 2), (row, column) of each patch's first pixel, inside the canvas.
        size: side of a patch.

    Returns:
        (..., size, size), a copy.
    """
    height, width = canvas.shape
    # As `sliding_window_view` returns, which takes longer than to cut a dozen patches.
    windows = np.lib.stride_tricks.as_strided(
        canvas,
        (height - size + 1, width - size + 1, size, size),
        canvas.strides + canvas.strides,
        writeable=False,
    )
    return np.asarray(windows[corners[..., 0], corners[..., 1]])


def add_patches(
    canvas: npt.NDArray[Value], patches: Iterable[npt.NDArray[Value]], corners: Corners
) -> npt.NDArray[Value]:
    """Add patches to a canvas where they overlap it, in place: the adjoint of `cut_patches`.

    Args:
        canvas: (H, W).
        patches: (h, w) each, as many as corners; an array (n, h, w) or anything that yields them.
        corners: int64 (n, 2), (row, column) of each patch's first pixel, inside the canvas.

    Returns:
        The canvas.
    """
    for patch, (row, column) in zip(patches, corners.tolist(), strict=True):
        height, width = patch.shape
        covered = canvas[row : row + height, column : column + width]
        np.add(covered, patch, out=covered)
    return canvas


def illumination_coverage(
    positions_px: Positions, probe: ComplexArray, canvas: Canvas
) -> npt.NDArray[np.float32]:
    """Return |probe|^2 summed over modes and frames, relative to its maximum.

    Args:
        positions_px: float64 (n, 2), (row, column), object pixels.
        probe: complex64 (modes, N, N).
        canvas: where the object lies.

    Returns:
        float32 (H, W), 0 to 1; what falls outside the canvas is left out.
    """
    padded = _PaddedCanvas(canvas, probe.shape[-1])
    intensity = np.asarray(np.sum(np.abs(probe) ** 2, axis=0, dtype=np.float64))
    frames, corners = padded.place(positions_px)
    dose = add_patches(padded.zeros(np.float64), itertools.repeat(intensity, len(frames)), corners)
    dose = padded.crop(dose)
    return np.asarray(dose / (dose.max() or 1.0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Stitched:
    """An object made of patches.

    Attributes:
        object_canvas: complex64 (H, W), NaN where no probe reached.
        coverage: float32 (H, W), summed |probe|^2 relative to its maximum, 0 to 1.
    """

    object_canvas: ComplexArray
    coverage: npt.NDArray[np.float32]


class Stitcher:
    """Averages patches where they overlap, weighted by |probe|^2 summed over modes.

    Complex values are averaged, so phases need no unwrapping, and no border is trimmed: the probe
    says how well each pixel of a patch is determined. Sums are kept in double precision, so that
    thousands of overlaps round to no more than the patches themselves.

    Args:
        probe: complex64 (modes, N, N); its scale does not matter.
        canvas: where the object lies; what falls outside is left out.
    """

    def __init__(self, probe: ComplexArray, canvas: Canvas) -> None:
        self._weight = np.sum(np.abs(probe.astype(np.complex128)) ** 2, axis=0)
        self._padded = _PaddedCanvas(canvas, probe.shape[-1])
        self._sum = self._padded.zeros(np.complex128)
        self._dose = self._padded.zeros(np.float64)

    def add(self, patches: ComplexArray, positions_px: Positions) -> None:
        """Add patches.

        Args:
            patches: complex64 (n, N, N) of the object; each starts at round(position) - N//2.
            positions_px: float64 (n, 2), (row, column), object pixels.

        Raises:
            PatchError: patches of another size than the probe, or of another number than positions.
        """
        size = len(self._weight)
        if patches.shape != (len(positions_px), size, size):
            raise PatchError(
                f'{len(positions_px)} positions and a probe of {size} x {size} pixels need patches '
                f'of shape {(len(positions_px), size, size)}, got {patches.shape}'
            )
        frames, corners = self._padded.place(positions_px)
        # One patch at a time: all of them in double precision would take four times their memory.
        weighted = (patches[frame] * self._weight for frame in frames)
        add_patches(self._sum, weighted, corners)
        add_patches(self._dose, itertools.repeat(self._weight, len(frames)), corners)

    def result(self) -> Stitched:
        """Return the object of all patches so far; more may be added afterwards."""
        total, dose = self._padded.crop(self._sum), self._padded.crop(self._dose)
        coverage = dose / (dose.max() or 1.0)
        reached = coverage > LEAST_COVERAGE
        object_canvas = np.full(dose.shape, np.nan, np.complex64)
        object_canvas[reached] = total[reached] / dose[reached]
        return Stitched(object_canvas, coverage.astype(np.float32))


def stitch(
    patches: ComplexArray, positions_px: Positions, probe: ComplexArray, canvas: Canvas
) -> Stitched:
    """Return the object of all patches at once.

    Args:
        patches: complex64 (n, N, N) of the object.
        positions_px: float64 (n, 2), (row, column); pixel N//2 of a patch lies on its position.
        probe: complex64 (modes, N, N).
        canvas: where the object lies, as `Canvas.for_scan(scan)` says.

    Raises:
        PatchError: shapes that do not belong together.
    """
    stitcher = Stitcher(probe, canvas)
    stitcher.add(patches, positions_px)
    return stitcher.result()


@dataclass(frozen=True)
class _PaddedCanvas:
    """A canvas with a border as wide as a patch, which takes what falls outside the canvas."""

    canvas: Canvas
    size: int

    def zeros(self, dtype: type[Value]) -> npt.NDArray[Value]:
        """Return an empty padded canvas."""
        height, width = self.canvas.shape
        return np.zeros((height + 2 * self.size, width + 2 * self.size), dtype)

    def place(self, positions_px: Positions) -> tuple[npt.NDArray[np.int64], Corners]:
        """Return the frames that lie on the padded canvas, and their corners there."""
        corners, _ = patch_placement(positions_px, self.size)
        corners += self.size - np.asarray(self.canvas.origin_px)
        last = np.asarray(self.canvas.shape) + self.size
        frames = np.flatnonzero(np.all((corners >= 0) & (corners <= last), axis=1))
        return frames, corners[frames]

    def crop(self, padded: npt.NDArray[Value]) -> npt.NDArray[Value]:
        """Return the canvas without its border."""
        return padded[self.size : -self.size, self.size : -self.size]
