"""Deviance of objects from photons and frames that the reconstruction did not use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ptychopinn_plugin.physics.noise_models import poisson_deviance
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver import Problem
from ptychopinn_plugin.solver.sweeps import batch_counts


class HeldOutBatch(NamedTuple):
    """Some held-out frames on the device.

    Attributes:
        counts: float32 (b, N, N), zero frequency at index 0.
        corners: int64 (b, 2).
        probes: complex64 (b, modes, N, N), shifted to each frame.
    """

    counts: Array
    corners: Array
    probes: Array


@dataclass(frozen=True, eq=False)
class HeldOutFrames:
    """Held-out frames of a crop, on the crop's canvas.

    Attributes:
        ops: the framework.
        batches: the frames.
        good: float32 (N, N), 1 where a detector pixel counts; None where all do.
        total_counts: photons of all frames at good pixels.
    """

    ops: Ops
    batches: tuple[HeldOutBatch, ...]
    good: Array | None
    total_counts: float

    @classmethod
    def from_scan(cls, ops: Ops, scan: ScanData) -> HeldOutFrames:
        """Bring held-out frames to the device."""
        problem = Problem.for_scan(ops, scan, 1, fixed_probe=True)
        probe = ops.array(scan.probe)
        batches = tuple(
            HeldOutBatch(
                ops.array(batch.amplitudes * batch.amplitudes),
                ops.array(batch.corners),
                problem.shifted(batch, probe),
            )
            for batch in problem.subsets[0]
        )
        return cls(ops, batches, problem.good, problem.total_counts)

    def deviance(self, canvas_object: Array) -> Array:
        """Return the Poisson deviance of an object, a scalar; gradients flow to the object."""
        return self.ops.compiled(held_out_deviance)(canvas_object, self.batches, self.good)


def held_out_deviance(
    ops: Ops, canvas_object: Array, batches: tuple[HeldOutBatch, ...], good: Array | None
) -> Array:
    """Return the Poisson deviance of an object from held-out frames, a scalar."""
    total = ops.zeros((), 'float32')
    for batch in batches:
        expected = batch_counts(ops, canvas_object, batch.corners, batch.probes)
        total = total + poisson_deviance(ops, expected, batch.counts, good)
    return total
