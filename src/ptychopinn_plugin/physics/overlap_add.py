"""One object from overlapping patches, each weighted by the light that it was seen with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import PatchError
from ptychopinn_plugin.scan.canvas import LEAST_COVERAGE, Canvas, patch_placement

ComplexArray = npt.NDArray[np.complex64]
Positions = npt.NDArray[np.float64]


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
    says what a patch knows of each of its pixels. Sums are kept in double precision, so that
    thousands of overlaps round to no more than the patches themselves.

    Args:
        probe: complex64 (modes, N, N); its scale does not matter.
        canvas: where the object lies; what falls outside is left out.
    """

    def __init__(self, probe: ComplexArray, canvas: Canvas) -> None:
        self._weight = np.sum(np.abs(probe.astype(np.complex128)) ** 2, axis=0)
        self._canvas = canvas
        size = probe.shape[-1]
        # A border as wide as a patch takes what falls outside.
        wide = (canvas.shape[0] + 2 * size, canvas.shape[1] + 2 * size)
        self._sum = np.zeros(wide, np.complex128)
        self._dose = np.zeros(wide)

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
        corners, _ = patch_placement(positions_px, size)
        corners += size - np.asarray(self._canvas.origin_px)
        inside = np.all((corners >= 0) & (corners <= np.array(self._dose.shape) - size), axis=1)
        weighted = np.empty((size, size), np.complex128)
        for number in np.flatnonzero(inside).tolist():
            row, column = corners[number].tolist()
            np.multiply(patches[number], self._weight, out=weighted)
            self._sum[row : row + size, column : column + size] += weighted
            self._dose[row : row + size, column : column + size] += self._weight

    def result(self) -> Stitched:
        """Return the object of all patches so far; more may be added afterwards."""
        size = len(self._weight)
        window = np.s_[size:-size, size:-size]
        total, dose = self._sum[window], self._dose[window]
        coverage = dose / (dose.max() or 1.0)
        reached = coverage > LEAST_COVERAGE
        object_canvas = np.full(self._canvas.shape, np.nan, np.complex64)
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
        canvas: where the object lies, as `canvas_of(scan)` says.

    Raises:
        PatchError: shapes that do not belong together.
    """
    stitcher = Stitcher(probe, canvas)
    stitcher.add(patches, positions_px)
    return stitcher.result()
