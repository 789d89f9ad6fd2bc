"""What object and probe can trade, fixed as a setting asks: power and centre of the probe.

A probe times c and an object over c give the same frames, and so do both after a common shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver
from ptychopinn_plugin.solver.unknowns import Unknowns

TINY = 1e-30

Probe = npt.NDArray[np.complex64]


@dataclass(eq=False)
class ProbePower(Estimator):
    """Keeps the power of the probe.

    Attributes:
        photons: sum |probe|^2 over modes and pixels.
    """

    photons: float

    def after_pass(self, solver: Solver) -> None:
        """Scale the probe to its power and the object inversely."""
        ops = solver.problem.ops
        power = probe_power(ops.numpy(solver.probe))
        factor = float(np.sqrt(self.photons / max(power, TINY)))
        inverse, scale = (ops.array(np.asarray(f, np.complex64)) for f in (1 / factor, factor))
        solver.transform(lambda unknowns: unknowns.times(inverse, scale))

    def at_end(self, solver: Solver) -> None:
        """Scale the state that was chosen."""
        self.after_pass(solver)


class ProbeCenter(Estimator):
    """Keeps the centre of the probe's intensity at pixel N//2, to whole pixels."""

    def after_pass(self, solver: Solver) -> None:
        """Shift probe and object by as many pixels as the centre is off."""
        ops, partition = solver.problem.ops, solver.problem.partition
        rows, columns = (-round(step) for step in probe_center(ops.numpy(solver.probe)))
        if not (rows or columns):
            return

        def shifted(image: Array) -> Array:
            return ops.array(np.roll(ops.numpy(image), (rows, columns), (-2, -1)))

        def shift(unknowns: Unknowns) -> Unknowns:
            variation = unknowns.variation
            return unknowns._replace(
                canvas_object=partition.on_whole(shifted, unknowns.canvas_object),
                probe=shifted(unknowns.probe),
                variation=None if variation is None else shifted(variation),
            )

        solver.transform(shift)

    def at_end(self, solver: Solver) -> None:
        """Shift the state that was chosen."""
        self.after_pass(solver)


def probe_power(probe: Probe) -> float:
    """Return sum |probe|^2 over modes and pixels: photons a frame through empty space.

    Args:
        probe: complex64 (modes, N, N).
    """
    return float(np.sum(np.abs(probe.astype(np.complex128)) ** 2))


def probe_center(probe: Probe) -> tuple[float, float]:
    """Return how far the centre of a probe's intensity lies off pixel N//2, (row, column).

    The circular mean: a probe that wraps around its frame has a centre too.

    Args:
        probe: complex64 (modes, N, N).
    """
    power = np.asarray(np.sum(np.abs(probe) ** 2, axis=0, dtype=np.float64))
    size = len(power)
    turn = np.exp(2j * np.pi * (np.arange(size) - size // 2) / size)
    rows, columns = (
        float(np.angle(power.sum(axis=axis) @ turn)) * size / (2 * np.pi) for axis in (1, 0)
    )
    return rows, columns
