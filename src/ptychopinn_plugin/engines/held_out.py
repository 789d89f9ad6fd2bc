"""The judge of a training: photons and frames that the reconstruction never saw."""

from __future__ import annotations

from dataclasses import dataclass

from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.physics.likelihood import poisson_deviance
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver import Problem


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out frames of a crop, ready to judge objects on its canvas.

    Attributes:
        problem: the held-out frames.
        probe: on the device, complex64 (modes, N, N).
    """

    problem: Problem
    probe: Array

    @classmethod
    def of(cls, ops: Ops, scan: ScanData) -> HeldOut:
        """Prepare held-out frames."""
        return cls(Problem.of(ops, scan, 1, fixed_probe=True), ops.array(scan.probe))

    def deviance(self, canvas_object: Array) -> Array:
        """Return the Poisson deviance of an object, a scalar; gradients flow to the object."""
        problem = self.problem
        total = problem.ops.zeros((), 'float32')
        for batch in problem.subsets[0]:
            amplitudes = problem.ops.array(batch.amplitudes)
            expected = problem.expected(batch, canvas_object, self.probe)
            total = total + poisson_deviance(
                problem.ops, expected, amplitudes * amplitudes, problem.good
            )
        return total
