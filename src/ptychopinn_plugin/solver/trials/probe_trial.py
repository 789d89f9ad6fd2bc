"""Whether a refined probe fits better: short reconstructions of some frames, scored on others."""

from __future__ import annotations

import math
from collections.abc import Callable

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.nearest_frames import middle_frames
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.early_stop import misfit_spread
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.trials.probe_start import TRIAL_FRAMES

# One subset of eight is held out. So few passes fit no noise that the held frames would punish.
SUBSETS, PASSES = 8, 8
# Fewer frames overlap too little with those that are held out.
FEWEST = 64


def refining_gains(ops: Ops, scan: ScanData, check: Callable[[], None]) -> bool:
    """Return whether frames that are held out are explained better with a refined probe.

    By more than the standard deviation of the misfit that noise gives. An empty object is
    reconstructed twice from the frames around the middle of the scan, with the probe held and
    refined. False where there are too few frames for a trial.

    Args:
        ops: the framework.
        scan: the scan, with the probe in question.
        check: called before every batch; raises to stop the work.
    """
    if scan.frame_count < FEWEST:
        return False
    few = middle_frames(scan, TRIAL_FRAMES, square=True)
    held, refined = (_held_out(ops, few, check, refines=refines) for refines in (False, True))
    pixels = few.frame_count * int((~few.mask).sum()) // SUBSETS
    photons = float(few.counts[:, ~few.mask].sum(dtype=float)) / SUBSETS
    return refined < held * (1 - misfit_spread(pixels, photons))


def _held_out(ops: Ops, few: ScanData, check: Callable[[], None], *, refines: bool) -> float:
    """Return the misfit of the frames that were held out, infinite where it diverged."""
    problem = Problem.for_scan(ops, few, SUBSETS, fixed_probe=False, check=check)
    held = problem.subsets.pop()
    config = InferenceConfig(update_probe='on' if refines else 'off')
    solver = AcceleratedSolver(problem, config)
    try:
        for _ in range(PASSES):
            solver.one_pass()
    except ReconstructionError:
        return math.inf
    problem.subsets.append(held)
    return problem.misfit(len(problem.subsets) - 1, solver.state.now)
