"""The phase ramp that object and probe can trade: the probe keeps the one that it started with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver
from ptychopinn_plugin.solver.unknowns import Unknowns

# A ramp of less than a pixel of the detector leaks at the probe's border, which moves the centre a
# little differently; what is left falls to a hundredth each time.
ITERATIONS = 3

Probe = npt.NDArray[np.complex64]


class ProbeTilt(Estimator):
    """Puts the centre of the probe's power at the detector back to where it was at the start.

    A probe times exp(i t r) and an object times exp(-i t r) give the same frames, so the centre
    drifts freely. Once at the end is enough, and leaves the momentum of the passes alone.
    """

    def at_end(self, solver: Solver) -> None:
        """Take the drift off the probe and give it to the object."""
        ops = solver.problem.ops
        back = _way_back(ops.numpy(solver.probe), probe_tilt(solver.problem.scan.probe))
        size = solver.problem.scan.frame_size
        on_probe = ops.array(_ramp((size, size), back))
        canvas, whole = solver.problem.canvas, solver.problem.partition.whole_canvas
        first = [own - start for own, start in zip(canvas.origin_px, whole.origin_px, strict=True)]
        on_canvas = ops.array(_ramp(canvas.shape, [-step for step in back], first))

        def move(unknowns: Unknowns) -> Unknowns:
            return unknowns.times(on_canvas, on_probe)

        solver.transform(move)


def probe_tilt(probe: Probe) -> tuple[float, float]:
    """Return the centre of a probe's power at the detector, (row, column), radians a pixel.

    The circular mean, so that it does not matter where the frame is cut.

    Args:
        probe: complex64 (modes, N, N).
    """
    power = np.asarray(np.sum(np.abs(np.fft.fft2(probe)) ** 2, axis=0, dtype=np.float64))
    turn = np.exp(2j * np.pi * np.arange(len(power)) / len(power))
    rows, columns = power.sum(axis=1) @ turn, power.sum(axis=0) @ turn
    return float(np.angle(rows)), float(np.angle(columns))


def _way_back(probe: Probe, wanted: tuple[float, float]) -> list[float]:
    """Return the ramp that brings a probe's centre to a wanted one, radians a pixel."""
    steps = [0.0, 0.0]
    for _ in range(ITERATIONS):
        now = probe_tilt(probe * _ramp(probe.shape[1:], steps))
        steps = [
            step + math.remainder(goal - found, 2 * math.pi)
            for step, goal, found in zip(steps, wanted, now, strict=True)
        ]
    return steps


def _ramp(
    shape: tuple[int, ...], steps: list[float], first: Sequence[int] = (0, 0)
) -> npt.NDArray[np.complex64]:
    """Return exp(i (row, column) . steps), complex64 (H, W), from a first (row, column) on."""
    rows, columns = (
        np.exp(1j * step * (np.arange(side) + start))
        for step, side, start in zip(steps, shape, first, strict=True)
    )
    return np.asarray(rows[:, None] * columns, np.complex64)
