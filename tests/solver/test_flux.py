"""The photons of the beam, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.flux import FluxEstimator
from tests.helpers import KnownScan
from tests.solver.scans import Values, known_scan, object_of, prepared, probe_of, with_counts


def estimator_of(solver: AcceleratedSolver) -> FluxEstimator:
    return next(one for one in solver.estimators if isinstance(one, FluxEstimator))


def whole_misfit(solver: AcceleratedSolver) -> float:
    problem = solver.problem
    return sum(problem.misfit(index, solver.state.now) for index in range(len(problem.subsets)))


def polynomial(known: KnownScan) -> Values:
    """Return the terms that the object's amplitude can take over, (n, 6)."""
    y, x = (known.scan.positions_px - known.scan.positions_px.mean(axis=0)).T / 10
    return np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=1)


def rough(known: KnownScan, values: Values) -> Values:
    """Return what is left of values without their smooth part."""
    terms = polynomial(known)
    return np.asarray(values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0])


def scaled(known: KnownScan, factors: Values) -> KnownScan:
    scan = with_counts(known.scan, lambda counts: counts * factors[:, None, None])
    return KnownScan(scan, known.ground_truth)


def test_known_factors_come_back(ops: Ops) -> None:
    known = known_scan(side=6, noise=True)
    factors = np.exp(rough(known, np.random.default_rng(3).normal(0, 0.15, 36)))
    scan = scaled(known, factors).scan
    solver = prepared(ops, scan, 30, update_flux=True, update_probe=False)
    estimator = estimator_of(solver)
    assert estimator.flux is not None
    difference = rough(known, np.log(estimator.flux) - np.log(factors))
    # Of 8e4 photons a frame, whose own noise is 0.35 %.
    assert np.sqrt(np.mean(difference**2)) < 0.005
    assert np.abs(difference).max() < 0.015
    assert estimator.spread == pytest.approx(np.log(factors).std(), rel=0.05)


def test_a_step_in_time_is_no_part_of_the_object(ops: Ops) -> None:
    known = known_scan(side=6, noise=True)
    factors = np.where(np.arange(36) < 18, 1.0, 0.5)
    scan = scaled(known, factors).scan
    solver = prepared(ops, scan, 30, update_flux=True, update_probe=False)
    flux = estimator_of(solver).flux
    assert flux is not None
    assert flux[18:].mean() / flux[:18].mean() == pytest.approx(0.5, abs=0.03)


def test_a_steady_beam_has_no_spread(ops: Ops) -> None:
    solver = prepared(ops, known_scan(side=6, noise=True).scan, 30, update_flux=True)
    assert estimator_of(solver).spread < 0.002
    flux = estimator_of(solver).flux
    assert flux is not None
    np.testing.assert_allclose(flux, 1, atol=0.002)


def with_given_flux(solver: AcceleratedSolver, flux: Values) -> AcceleratedSolver:
    """Let the next estimate find these photon ratios, fully trusted."""
    problem = solver.problem
    problem.frame_values.photon_ratios = flux.astype(np.float32)
    problem.frame_values.flux_trust = np.ones(problem.scan.frame_count, np.float32)
    return solver


def test_the_scale_of_the_flux_goes_to_the_probe(ops: Ops) -> None:
    known = known_scan(side=6)
    solver = with_given_flux(prepared(ops, known.scan, 4), np.ones(36))
    flux = 1.3 * np.exp(rough(known, np.random.default_rng(3).normal(0, 0.15, 36)))
    before = solver.state.now
    with_given_flux(solver, flux)
    estimator = FluxEstimator()
    estimator.after_pass(solver)
    assert estimator.flux is not None
    assert np.mean(estimator.flux) == pytest.approx(1, abs=1e-6)
    wanted = ops.numpy(before.probe) * np.sqrt(np.mean(flux))
    np.testing.assert_allclose(probe_of(solver), wanted, rtol=1e-5)


def test_a_smooth_flux_goes_to_the_object(ops: Ops) -> None:
    known = known_scan(side=6)
    y, x = (known.scan.positions_px - known.scan.positions_px.mean(axis=0)).T
    smooth = 0.004 * y - 0.003 * x
    flux = np.exp(smooth + rough(known, np.random.default_rng(3).normal(0, 0.1, 36)))
    solver = with_given_flux(prepared(ops, known.scan, 12), flux)
    before, misfit = object_of(solver), whole_misfit(solver)
    FluxEstimator().after_pass(solver)
    # Trusted fully, a flux has no say in the frames: they stay but for the slope within a patch.
    change = (whole_misfit(solver) - misfit) / solver.problem.total_counts
    assert abs(change) < 1e-4
    gain = np.abs(object_of(solver) / before) ** 2
    row, column = np.rint(known.scan.positions_px).astype(int).T
    at_frames = gain[
        row - solver.problem.canvas.origin_px[0], column - solver.problem.canvas.origin_px[1]
    ]
    slope = np.log(at_frames) - smooth
    np.testing.assert_allclose(slope - slope.mean(), 0, atol=0.004)
