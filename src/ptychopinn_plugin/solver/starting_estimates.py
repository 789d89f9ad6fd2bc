"""Variation of the probe, flux and background that a scan brings, and those of the result."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.scan import Estimates
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.drift import cosines
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.unknowns import Unknowns

# Of the largest singular value: weaker modes, which taking off the tilt leaves, carry 1e-4 of the
# power of the first.
LEAST_VALUE = 1e-2
TINY = 1e-30

Complex = npt.NDArray[np.complex64]


def start_estimates(solver: AcceleratedSolver, inference: InferenceConfig) -> None:
    """Start where the estimates of the scan are.

    What a setting asks to estimate goes on from there; anything else is held as it is given, but
    that modes of the probe's variation are refined with the probe.

    Args:
        solver: before its first pass.
        inference: what is estimated.
    """
    problem, known = solver.problem, solver.problem.scan.estimates
    if known.flux is not None and inference.update_flux:
        # The first pass takes each frame's own ratio: a flux that was found exceeds its noise.
        problem.frame_values.flux_trust = np.ones(len(known.flux), np.float32)
    elif known.flux is not None:
        problem.frame_values.flux = known.flux.astype(np.float32)
    if known.opr_modes is not None:
        _start_variation(solver, refined=inference.opr_modes > 0)
    background = _starting_background(problem, inference)
    if background is not None:
        placed = problem.ops.array(background)
        solver.change_unknowns(lambda unknowns: unknowns._replace(background=placed))


def found_estimates(solver: AcceleratedSolver, factor: float = 1.0) -> Estimates:
    """Return variation of the probe, flux, background and nominal positions of a result.

    Args:
        solver: after its passes.
        factor: that the probe of the result is multiplied by.
    """
    problem, now = solver.problem, solver.state.now
    background = None
    if now.background is not None:
        background = np.fft.fftshift(problem.ops.numpy(now.background)).astype(np.float32)
    return Estimates(
        *_found_variation(problem, now),
        flux=problem.frame_values.relative_flux(),
        background=background,
        nominal_positions_px=_nominal_positions(problem),
    ).scaled(factor)


def _start_variation(solver: AcceleratedSolver, *, refined: bool) -> None:
    """Start at the variation of the scan's probe.

    Args:
        solver: before its first pass.
        refined: whether it is estimated, in cosines of the frame's number: then the part of the
            given weights that such cosines describe is taken.
    """
    problem, known = solver.problem, solver.problem.scan.estimates
    assert known.opr_modes is not None
    assert known.opr_weights is not None
    basis, modes = known.opr_weights, known.opr_modes
    main = np.zeros_like(modes[0])
    if refined:
        basis = cosines(problem.scan.frame_count)
        functions = np.column_stack([np.ones(len(basis)), basis])
        fitted, *_ = np.linalg.lstsq(functions, known.opr_weights, rcond=None)
        main, modes = _combined(fitted[:1], modes)[0], _combined(fitted[1:], modes)
    problem.frame_values.basis = basis
    change = np.zeros_like(problem.scan.probe)
    change[0] = main
    ops = problem.ops
    placed, variation = ops.array(change), ops.array(modes)
    solver.change_unknowns(lambda u: u._replace(probe=u.probe + placed, variation=variation))


def _starting_background(
    problem: Problem, inference: InferenceConfig
) -> npt.NDArray[np.float32] | None:
    """Return the background to start at, zero frequency at index 0; None without one."""
    known = problem.scan.estimates.background
    if known is not None:
        return np.fft.ifftshift(known)
    if inference.update_background:
        return np.zeros((problem.scan.frame_size, problem.scan.frame_size), np.float32)
    return None


def _found_variation(
    problem: Problem, now: Unknowns
) -> tuple[Complex | None, npt.NDArray[np.float32] | None]:
    """Return the modes of a variation, each as strong as the main mode, and their weights."""
    basis = problem.frame_values.basis
    if now.variation is None or basis is None:
        return None, None
    variation = problem.ops.numpy(now.variation).astype(np.complex128)
    parts = variation.reshape(len(variation), -1).view(np.float64)
    left, values, right = np.linalg.svd(parts, full_matrices=False)
    kept = values > max(LEAST_VALUE * float(values[0]), TINY)
    if not kept.any():
        return None, None
    strength = float(np.linalg.norm(problem.ops.numpy(now.probe)[0]))
    modes = (strength * right[kept]).view(np.complex128).reshape(-1, *variation.shape[1:])
    weights = basis @ (left[:, kept] * values[kept] / strength)
    return modes.astype(np.complex64), weights.astype(np.float32)


def _combined(weights: npt.NDArray[np.floating], modes: Complex) -> Complex:
    return np.tensordot(weights, modes, 1).astype(np.complex64)


def _nominal_positions(problem: Problem) -> npt.NDArray[np.float64] | None:
    """Return the positions before any refinement, None where none were refined."""
    known = problem.scan.estimates.nominal_positions_px
    if known is None and not np.array_equal(problem.positions_px, problem.scan.positions_px):
        return problem.scan.positions_px
    return known


def without_variation(estimates: Estimates) -> Estimates:
    """Return the estimates without the variation of a probe."""
    return dataclasses.replace(estimates, opr_modes=None, opr_weights=None)
