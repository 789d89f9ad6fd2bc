"""Removal of the spatial frequencies of a scan's raster from the object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver
from ptychopinn_plugin.solver.estimators.raster import Raster

# Of a notch, in cycles over the scanned field: what is this near to a frequency of the raster is as
# good as periodic.
NOTCH_WIDTH = 1.0

Floats = npt.NDArray[np.float64]


@dataclass(eq=False)
class GridRemoval(Estimator):
    """Takes the frequencies of the raster that fits the positions best off the object.

    Attributes:
        found: whether the positions lie on a raster; None before the first pass.
    """

    found: bool | None = None
    _gains: Array = None

    def after_pass(self, solver: Solver) -> None:
        """Filter the object."""
        if self.found is None:
            self._look(solver)
        if self.found:
            partition = solver.problem.partition
            solver.move_object(
                lambda image: partition.on_whole(lambda one: self._filtered(solver, one), image)
            )

    def at_end(self, solver: Solver) -> None:
        """Filter the state that was chosen."""
        self.after_pass(solver)

    def remarks(self) -> tuple[str, ...]:
        """Say where there was nothing to remove."""
        if self.found is False:
            return ('the positions form no raster, so no grid frequencies were removed',)
        return ()

    def _look(self, solver: Solver) -> None:
        problem = solver.problem
        raster = Raster.of(problem.scan.positions_px)
        self.found = raster is not None
        if raster is not None:
            extent = float(np.ptp(problem.scan.positions_px, axis=0).max())
            gains = notch_gains(
                raster, problem.partition.whole_canvas.shape, NOTCH_WIDTH / max(extent, 1.0)
            )
            self._gains = problem.ops.array(gains.astype(np.float32))

    def _filtered(self, solver: Solver, image: Array) -> Array:
        ops = solver.problem.ops
        return ops.ifft2(ops.scale(ops.fft2(image), self._gains))


def notch_gains(raster: Raster, shape: tuple[int, int], width: float) -> Floats:
    """Return the gain of each spatial frequency: 0 at those of a raster, 1 at others and at 0.

    Args:
        raster: fitted to the positions.
        shape: (H, W) of the object.
        width: standard deviation of a notch, cycles a pixel.

    Returns:
        float64 (H, W), zero frequency at index 0.
    """
    reciprocal = np.linalg.inv(raster.basis_px).T
    most = math.ceil(float(np.abs(raster.basis_px).sum())) + 1
    orders = np.stack(np.meshgrid(*[np.arange(-most, most + 1)] * 2), axis=-1).reshape(-1, 2)
    orders = orders[np.any(orders != 0, axis=1)]
    places = orders @ reciprocal
    rows, columns = (np.fft.fftfreq(side) for side in shape)
    gains = np.ones(shape)
    for row, column in places[(np.abs(places) <= 0.5).all(axis=1)]:
        # Frequencies are periodic: the other side of one half is near, too.
        along = np.exp(-(_periodic(rows - row) ** 2) / (2 * width**2))
        across = np.exp(-(_periodic(columns - column) ** 2) / (2 * width**2))
        gains *= 1 - np.outer(along, across)
    gains[0, 0] = 1.0
    return gains


def _periodic(difference: Floats) -> Floats:
    return np.asarray(difference - np.rint(difference))
