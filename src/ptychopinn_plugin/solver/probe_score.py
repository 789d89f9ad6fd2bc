"""Whether a probe that was held would gain by refining: a score test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ptychopinn_plugin.solver.accelerated import AcceleratedSolver

# Share of the largest summed |object|^2 below which a pixel of the probe is left out.
LEAST_POWER = 0.02


def probe_score(solver: AcceleratedSolver) -> float:
    """Return the score statistic of a solver's probe: about 1 or less where it is right.

    sum |gradient|^2 / power over the probe's pixels is what one step would take from the misfit;
    noise alone gives `misfit_per_parameter` times as many as pixels, in each mode. At some 1e4
    photons a frame or fewer it is below 1 for a probe out of focus too: it cannot tell there.
    Takes one pass's work, and changes nothing.

    Args:
        solver: best once it has finished, with a probe that was held.
    """
    problem, ops = solver.problem, solver.problem.ops
    gradient, power = np.zeros(1, np.complex128), np.zeros(1)
    for index in range(len(problem.subsets)):
        sweep = problem.sweep(solver.state.now, index, with_probe=True)
        gradient = gradient + ops.numpy(sweep.probe_direction)
        power = power + ops.numpy(sweep.object_power)
    lit = power > LEAST_POWER * power.max()
    gain = float(np.sum(np.abs(gradient[:, lit]) ** 2 / power[lit]))
    parameters = max(1, int(np.count_nonzero(lit)) * len(gradient))
    return gain / (problem.noise.misfit_per_parameter * parameters)
