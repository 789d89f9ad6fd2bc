"""Functions with the period of a raster go to the probe; the frames stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.lattice import Harmonics, LatticeGauge
from ptychopinn_plugin.solver.estimators.raster import Raster
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.solver.scans import (
    Values,
    core_score,
    defocused,
    known_scan,
    raster_scan,
    with_positions,
    with_probe,
)

BASIS = np.array([[0.4, 6.1], [5.2, -0.7]])


def nodes(side: int) -> Values:
    return np.indices((side, side)).reshape(2, -1).T.astype(np.float64)


def lattice_solver(ops: Ops, *, gauge: bool = True, passes: int = 0) -> AcceleratedSolver:
    """Return a solver of a raster whose probe starts out of focus."""
    scan = with_probe(raster_scan().scan, defocused)
    problem = Problem.for_scan(ops, scan, 4, fixed_probe=False)
    estimators = (LatticeGauge(),) if gauge else ()
    solver = AcceleratedSolver(problem, InferenceConfig(update_probe=True), estimators=estimators)
    for _ in range(passes):
        solver.one_pass()
    return solver


@pytest.mark.parametrize('jitter_px', [0.0, 0.3])
def test_a_lattice_is_found_whatever_the_order(jitter_px: float) -> None:
    rng = np.random.default_rng(1)
    positions = rng.permutation(nodes(20) @ BASIS) + 40
    positions += jitter_px * rng.normal(size=positions.shape)
    raster = Raster.of(positions)
    assert raster is not None
    # Another basis of the same lattice: whole numbers, determinant 1.
    change = BASIS @ np.linalg.inv(raster.basis_px)
    np.testing.assert_allclose(change, np.rint(change), atol=0.02)
    assert abs(np.linalg.det(change)) == pytest.approx(1, abs=0.02)
    assert raster.distance_px == pytest.approx(np.sqrt(2) * jitter_px, rel=0.1, abs=1e-9)


def test_scattered_positions_are_no_lattice() -> None:
    raster = Raster.of(np.random.default_rng(0).uniform(0, 100, (400, 2)))
    assert raster is None or raster.distance_px > 0.2 * raster.step_px


@pytest.mark.parametrize('positions', [nodes(2), np.zeros((30, 2)), nodes(6) * [1, 0]])
def test_too_few_or_degenerate_positions_are_no_lattice(positions: Values) -> None:
    assert Raster.of(positions) is None


def test_a_periodic_function_is_found_and_taken_off() -> None:
    rng = np.random.default_rng(0)
    raster = Raster(BASIS, 0.0)
    harmonics = Harmonics.of(raster, (70, 80))
    harmonics.place_probe(np.array([7.0, 9.0]), 16)
    weights = 0.03 * (rng.normal(size=len(harmonics.orders)) + 1j)
    weights[0] = 1
    g = ((harmonics.rows * weights) @ harmonics.columns.T).astype(np.complex64)
    dose = np.zeros((70, 80), np.float32)
    dose[10:60, 12:70] = rng.uniform(0.5, 1, (50, 58))
    coefficients = harmonics.fit(g, dose)
    assert coefficients is not None
    found = harmonics.factors(coefficients, (0, 0), g.shape)
    np.testing.assert_allclose(found[0] * g, 1, atol=2e-3)
    np.testing.assert_allclose(found[1], g[7:23, 9:25], atol=2e-3)
    part, _ = harmonics.factors(coefficients, (5, 11), (20, 30))
    np.testing.assert_allclose(part, found[0][5:25, 11:41], rtol=1e-5)
    # It has the period of the lattice, which is whole pixels for none of the two steps.
    k = harmonics.orders @ harmonics.reciprocal
    np.testing.assert_allclose(k @ BASIS.T, np.rint(k @ BASIS.T), atol=1e-9)


def test_the_weight_stays_that_of_the_first_dose() -> None:
    harmonics = Harmonics.of(Raster(BASIS, 0.0), (70, 80))
    harmonics.place_probe(np.zeros(2), 16)
    image = np.ones((70, 80), np.complex64)
    for factor in (1, 3, 0.2):
        dose = np.ones((70, 80), np.float32)
        dose[:20] = factor
        coefficients = harmonics.fit(image, dose)
        assert coefficients is not None
        found = harmonics.factors(coefficients, (0, 0), (70, 80))
        np.testing.assert_allclose(found[0], 1, atol=2e-2)


def test_the_frames_do_not_change(ops: Ops) -> None:
    solver = lattice_solver(ops, gauge=False, passes=3)
    before, canvas_object = solver.residual(), ops.numpy(solver.canvas_object)
    LatticeGauge().after_pass(solver)
    change = np.abs(ops.numpy(solver.canvas_object) / canvas_object - 1)
    assert change.max() > 1e-3
    assert solver.residual() == pytest.approx(before, rel=1e-3)


def test_a_raster_is_better_reconstructed() -> None:
    known = raster_scan()
    errors = []
    for gauge in (False, True):
        solver = lattice_solver(NumpyOps(), gauge=gauge, passes=16)
        solver.finish()
        errors.append(core_score(solver, known).nrmse)
    assert errors[1] < 0.8 * errors[0]


def test_a_jittered_scan_is_left_alone(ops: Ops) -> None:
    problem = Problem.for_scan(ops, known_scan(side=6).scan, 1, fixed_probe=False)
    solver = AcceleratedSolver(problem, InferenceConfig(update_probe=True))
    solver.one_pass()
    gauge, state = LatticeGauge(), solver.state
    gauge.after_pass(solver)
    gauge.at_end(solver)
    assert solver.state is state
    assert not gauge.active


def test_the_lattice_follows_positions_that_move() -> None:
    solver = lattice_solver(NumpyOps(), gauge=False, passes=1)
    gauge = LatticeGauge()
    gauge.after_pass(solver)
    assert gauge.active
    jitter = np.random.default_rng(0).normal(size=(solver.problem.scan.frame_count, 2))
    solver.problem.move_frames(solver.problem.positions_px + jitter)
    gauge.after_pass(solver)
    assert not gauge.active


def test_a_change_that_the_frames_contradict_is_refused(ops: Ops) -> None:
    solver = lattice_solver(ops, gauge=False, passes=4)
    solver.finish()

    def phase(unknowns: Unknowns) -> Unknowns:
        return unknowns._replace(canvas_object=unknowns.canvas_object * 1j)

    def fading(unknowns: Unknowns) -> Unknowns:
        return unknowns._replace(canvas_object=unknowns.canvas_object * 0.9)

    before = ops.numpy(solver.canvas_object)
    assert solver.transform_if_free(phase)
    assert not solver.transform_if_free(fading)
    np.testing.assert_allclose(ops.numpy(solver.canvas_object), 1j * before, rtol=1e-5)


def test_positions_on_a_raster_stay_on_it_when_read_from_anywhere() -> None:
    scan = with_positions(raster_scan().scan, lambda positions: positions[::-1])
    raster = Raster.of(scan.positions_px)
    assert raster is not None
    assert raster.distance_px < 1e-6
