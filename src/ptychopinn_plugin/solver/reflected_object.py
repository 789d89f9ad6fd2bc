"""The object of reflections with a solver's probe, and the start of a solver from an object."""

from __future__ import annotations

import dataclasses

from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.amplitude_start import AmplitudeStart
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.reflections import Reflections


def start_at(solver: AcceleratedSolver, canvas_object: Array, probe: Array) -> None:
    """Start from an object and, where it is refined, from a probe.

    The prior is estimated from that object: without one, the first passes would fit noise, and
    have the least misfit of all. So would passes with the noise model of amplitudes where pixels
    hold few counts; they are for an object that is not there yet.

    Args:
        solver: before its first pass.
        canvas_object: complex64 (H, W).
        probe: complex64 (modes, N, N).
    """
    solver.set_object(canvas_object)
    if solver.refines_probe and tuple(solver.probe.shape) == tuple(probe.shape):
        solver.transform(lambda unknowns: unknowns._replace(probe=probe))
    for estimator in solver.estimators:
        if isinstance(estimator, AmplitudeStart):
            estimator.at_end(solver)
    if solver.prior is not None:
        problem = solver.problem
        solver.prior.estimate_at_once()
        dose = problem.dose(solver.probe)
        solver.prior.estimate(problem.ops, problem.partition, canvas_object, dose)


def reflected_object(solver: AcceleratedSolver, iterations: int) -> Array:
    """Return the object of reflections with a solver's probe, which is held, complex64 (H, W).

    Args:
        solver: of the scan; only read.
        iterations: how many reflections.

    Raises:
        Whatever the check of the problem raises to stop the work.
    """
    problem = solver.problem
    scan = dataclasses.replace(problem.scan, probe=problem.ops.numpy(solver.probe))
    fixed = Problem.for_scan(problem.ops, scan, 1, fixed_probe=True, check=problem.check)
    reflections = Reflections(fixed, with_prior=solver.prior is not None)
    return solver.constrained(reflections.run(iterations))
