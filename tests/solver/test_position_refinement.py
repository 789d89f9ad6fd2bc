"""Positions that are wrong are found, and those that are right stay where they are."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.estimators import position_prior
from ptychopinn_plugin.solver.estimators.affine import AffineChange, look_affine, warp
from ptychopinn_plugin.solver.estimators.position_columns import (
    frame_sums,
    object_slopes,
    strong_modes,
)
from ptychopinn_plugin.solver.estimators.position_prior import posterior_errors, without_affine
from ptychopinn_plugin.solver.estimators.position_refinement import PositionRefiner
from ptychopinn_plugin.solver.prepare import prepare_solver
from tests.helpers import KnownScan
from tests.solver.scans import known_scan, with_positions

Values = npt.NDArray[Any]


def _prepared(ops: Ops, scan: ScanData, **settings: Any) -> AcceleratedSolver:
    config = InferenceConfig(
        **{
            'update_positions': 'auto',
            'update_probe': 'off',
            'subsets': 2,
            'object_prior': False,
        }
        | settings
    )
    return prepare_solver(ops, scan, config, lambda: None)


def _refiner(solver: AcceleratedSolver) -> PositionRefiner:
    (found,) = solver.estimators
    assert isinstance(found, PositionRefiner)
    return found


def _at_truth(ops: Ops, known: KnownScan, **settings: Any) -> AcceleratedSolver:
    """Return a solver whose object is the true one, the margin filled with ones."""
    solver = _prepared(ops, known.scan, **settings)
    top, left = -np.asarray(solver.problem.canvas.origin_px)
    canvas_object = np.ones(solver.problem.canvas.shape, np.complex64)
    height, width = known.ground_truth.shape
    canvas_object[top : top + height, left : left + width] = known.ground_truth
    placed = ops.array(canvas_object)
    solver.transform(lambda unknowns: unknowns._replace(canvas_object=placed))
    return solver


def _offsets(count: int, width_px: float) -> Values:
    return np.random.default_rng(5).normal(size=(count, 2)) * width_px


@functools.cache
def _known() -> KnownScan:
    return known_scan(side=8, noise=True)


def test_steps_point_to_the_true_positions(ops: Ops) -> None:
    known = _known()
    offsets = _offsets(known.scan.frame_count, 0.2)
    moved = with_positions(known.scan, lambda positions: positions + offsets)
    solver = _at_truth(ops, dataclasses.replace(known, scan=moved))
    now, problem = solver.state.now, solver.problem
    slopes = ops.compiled(object_slopes)(now.canvas_object)
    for batch in problem.batches():
        found = ops.compiled(frame_sums)(now, slopes, problem.to_device(batch, now), problem.good)
        y, x, yy, xx, yx, *_ = (ops.numpy(one).astype(float) for one in found)
        information = np.moveaxis(np.array([[yy, yx], [yx, xx]]), -1, 0)
        steps = np.linalg.solve(information, np.stack([y, x], 1)[..., None])[..., 0]
        rest = steps + offsets[batch.frames]
        assert np.std(rest) < 0.7 * np.std(offsets)


@pytest.mark.parametrize(
    ('powers', 'expected'), [([1], 1), ([94, 3, 3], 1), ([75, 20, 5], 2), ([5, 5, 90], 3)]
)
def test_columns_are_made_of_the_modes_with_most_of_the_power(
    powers: list[float], expected: int
) -> None:
    probe = np.sqrt(powers)[:, None, None] * np.full((len(powers), 4, 4), 1j)
    assert strong_modes(NumpyOps(), probe.astype(np.complex64)) == expected


def test_weak_modes_add_little_to_the_steps_and_their_counts_are_not_left_out(ops: Ops) -> None:
    known = _known()
    mode = np.roll(known.scan.probe, 2, axis=-1) * np.float32(0.15)
    scan = dataclasses.replace(known.scan, probe=np.concatenate([known.scan.probe, mode]))
    solver = _at_truth(ops, dataclasses.replace(known, scan=scan))
    now, problem = solver.state.now, solver.problem
    slopes = ops.compiled(object_slopes)(now.canvas_object)
    placed = problem.to_device(next(problem.batches()), now)
    assert strong_modes(ops, now.probe) == 1
    every, strong = (
        ops.compiled(frame_sums)(now, slopes, placed, problem.good, modes) for modes in (None, 1)
    )
    np.testing.assert_allclose(ops.numpy(strong.misfit), ops.numpy(every.misfit), rtol=1e-5)
    np.testing.assert_allclose(
        ops.numpy(strong.information_row), ops.numpy(every.information_row), rtol=0.1
    )
    assert not np.allclose(
        ops.numpy(strong.information_row), ops.numpy(every.information_row), rtol=1e-4
    )


def test_noise_is_what_the_true_model_leaves(ops: Ops) -> None:
    known = known_scan(side=6, noise=True, photons=2000)
    solver = _at_truth(ops, known)
    now, problem = solver.state.now, solver.problem
    slopes = ops.compiled(object_slopes)(now.canvas_object)
    sums = [
        ops.compiled(frame_sums)(now, slopes, problem.to_device(batch, now), problem.good)
        for batch in problem.batches()
    ]
    misfit = sum(float(ops.numpy(one.misfit).sum()) for one in sums)
    noise = sum(float(ops.numpy(one.noise).sum()) for one in sums)
    assert misfit == pytest.approx(noise, rel=0.05)


def test_an_affine_change_is_seen_with_the_object_moving_along(ops: Ops) -> None:
    known = known_scan(side=6)
    solver = _at_truth(ops, known)
    truth = np.array([0.01, -0.008, 0.006, 0.004])
    change = -AffineChange().add(truth)
    positions = known.scan.positions_px
    centre = positions.mean(axis=0)
    # Positions and object both wrong by the inverse of the change.
    solver.problem.move_frames(positions + (positions - centre) @ change.T)
    canvas_object = ops.numpy(solver.canvas_object)
    middle = centre - np.asarray(solver.problem.canvas.origin_px)
    warped = ops.array(warp(canvas_object, change, middle))
    solver.transform(lambda unknowns: unknowns._replace(canvas_object=warped))
    slopes = ops.compiled(object_slopes)(solver.canvas_object)
    batches = list(solver.problem.batches())
    look = look_affine(solver, slopes, batches, solver.problem.scan.frame_count)
    np.testing.assert_allclose(look.step, truth, atol=0.0025)


def test_a_warp_moves_content_with_positions() -> None:
    rows, columns = np.mgrid[:60, :70]

    def spot(at: Values) -> Values:
        distance = (rows - at[0]) ** 2 + (columns - at[1]) ** 2
        return np.asarray(np.exp(-distance / 18), np.complex64)

    centre, at = np.array([30.0, 33.0]), np.array([42.0, 50.0])
    change = AffineChange().add(np.array([0.05, 0.04, 0.0, 0.02]))
    moved = warp(spot(at), change, centre)
    found = np.array([np.sum(axis * moved.real) for axis in (rows, columns)]) / moved.real.sum()
    np.testing.assert_allclose(found, at + change @ (at - centre), atol=0.05)


def test_changes_add_up() -> None:
    change = AffineChange()
    first, second = (change.add(np.array(step)) for step in ([0.02, 0.01, 0, 0], [0.01, 0, 0, 0.1]))
    product = (np.eye(2) + second) @ (np.eye(2) + first) - np.eye(2)
    np.testing.assert_allclose(change.matrix, product)
    assert AffineChange(np.eye(2) * 0.03).scale == pytest.approx(1.03)
    turned = AffineChange(np.array([[0, 0.02], [-0.02, 0]]))
    assert turned.rotation_deg == pytest.approx(np.degrees(0.02))


def test_the_prior_finds_the_width_and_leaves_noise_alone() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(400, 2)) * 0.3
    information = np.eye(2) * rng.uniform(5, 50, (400, 1, 1))
    noise = rng.normal(size=(400, 2)) / np.sqrt(information[:, 0, :1])
    found, width = posterior_errors(truth + noise, information, 1.0)
    assert width == pytest.approx(0.3 * np.sqrt(2), rel=0.15)
    assert np.std(found - truth) < 0.85 * np.std(noise)
    nothing, none = posterior_errors(noise, information, 1.0)
    assert none < 0.1
    assert np.std(nothing) < 0.2 * np.std(noise)


@pytest.mark.parametrize('width', [0.0, 0.003, 0.05, 0.4])
def test_widths_near_the_last_one_are_enough(width: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prior is that which all widths in all alternations give, outliers among the frames."""
    rng = np.random.default_rng(8)
    errors = rng.standard_t(2.5, (150, 2)) * width
    information = np.eye(2) * rng.uniform(5, 5000, (150, 1, 1))
    measured = errors + rng.normal(size=(150, 2)) / np.sqrt(information[:, 0, :1])
    found, found_width = posterior_errors(measured, information, 1.0)
    monkeypatch.setattr(position_prior, 'NEAR', position_prior.WIDTHS)
    wanted, wanted_width = posterior_errors(measured, information, 1.0)
    assert found_width == wanted_width
    np.testing.assert_array_equal(found, wanted)


def test_common_moves_are_no_errors() -> None:
    rng = np.random.default_rng(4)
    positions = rng.uniform(-30, 30, (50, 2))
    information = np.eye(2) * rng.uniform(1, 9, (50, 1, 1))
    moves = positions @ rng.normal(size=(2, 2)) * 0.1 + [0.4, -0.2]
    assert np.abs(without_affine(moves, information, positions)).max() < 1e-9


def _solved(ops: Ops, width_px: float, **settings: Any) -> tuple[AcceleratedSolver, float, float]:
    """Return the solver after some passes, and the errors of the positions before and after."""
    known = _known().scan
    offsets = _offsets(known.frame_count, width_px)
    solver = _prepared(ops, with_positions(known, lambda at: at + offsets), **settings)
    for _ in range(9):
        solver.one_pass()
    rest = solver.problem.positions_px - known.positions_px
    return solver, float(np.std(offsets, axis=0).max()), float(np.std(rest, axis=0).max())


def test_wrong_positions_are_refined_and_the_reason_is_told(ops: Ops) -> None:
    solver, before, after = _solved(ops, 0.4)
    refiner = _refiner(solver)
    assert refiner.active
    assert 'are refined' in refiner.reason
    assert after < 0.5 * before
    assert refiner.sigma_px == pytest.approx(0.4 * np.sqrt(2), rel=0.3)


def test_right_positions_stay_exactly_where_they_are() -> None:
    solver, *_ = _solved(NumpyOps(), 0.0)
    refiner = _refiner(solver)
    assert not refiner.active
    assert 'left alone' in refiner.reason
    np.testing.assert_array_equal(solver.problem.positions_px, solver.problem.scan.positions_px)


def test_refined_as_asked_whatever_the_frames_say() -> None:
    solver, *_ = _solved(NumpyOps(), 0.0, update_positions='on')
    assert _refiner(solver).active
    assert 'as asked' in _refiner(solver).reason


def test_modes_flux_background_and_bad_pixels_go_with_it(ops: Ops) -> None:
    known = known_scan(side=4, modes=2, noise=True, bad_pixels=20).scan
    moved = with_positions(known, lambda at: at + _offsets(known.frame_count, 0.4))
    everything = {'update_probe': True, 'update_flux': True, 'update_background': True}
    solver = _prepared(ops, moved, update_positions='on', **everything)
    for _ in range(6):
        solver.one_pass()
    assert np.isfinite(solver.finish())
    rest = solver.problem.positions_px - known.positions_px
    assert np.std(rest) < 0.9 * np.std(moved.positions_px - known.positions_px)


def test_off_adds_nothing_and_no_margin() -> None:
    scan = known_scan(side=4).scan
    off = _prepared(NumpyOps(), scan, update_positions='off')
    assert off.estimators == ()
    assert off.problem.canvas.origin_px == (0, 0)
    first = np.asarray(_prepared(NumpyOps(), scan).problem.canvas.origin_px)
    assert (first < 0).all()


def _affine_part(positions: Values, moves: Values) -> Values:
    """Return the part of moves that is affine in the positions, without a common shift."""
    centred = positions - positions.mean(axis=0)
    fitted, *_ = np.linalg.lstsq(centred, moves - moves.mean(axis=0), rcond=None)
    return np.asarray(centred @ fitted)


@pytest.mark.parametrize('constraint', ['none', 'affine', 'no_affine'])
def test_positions_move_as_they_may(ops: Ops, constraint: str) -> None:
    known = _known()
    # Errors of single frames that are not refined hide an affine change.
    width_px = 0.05 if constraint == 'affine' else 0.3
    offsets = _offsets(known.scan.frame_count, width_px)
    centre = known.scan.positions_px.mean(axis=0)
    wrong = with_positions(known.scan, lambda p: p + 0.02 * (p - centre)[:, ::-1] + offsets)
    settings = {'update_positions': 'on', 'position_constraint': constraint}
    solver = _at_truth(ops, dataclasses.replace(known, scan=wrong), **settings)
    for _ in range(6):
        solver.one_pass()
    moves = solver.problem.positions_px - wrong.positions_px
    affine = _affine_part(wrong.positions_px, moves)
    single = moves - moves.mean(axis=0) - affine
    assert bool(np.abs(affine).max() > 0.06) is (constraint != 'no_affine')
    assert bool(single.std() > 0.1) is (constraint != 'affine')
    remark = solver.remarks()[0]
    assert ('scale' in remark) is (constraint != 'no_affine')
    assert ('single frames' in remark) is (constraint != 'affine')
