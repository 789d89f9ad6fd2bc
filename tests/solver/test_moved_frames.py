"""A problem whose frames were moved is that of a scan with these positions."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan.canvas import patch_placement
from ptychopinn_plugin.solver import Problem
from tests.helpers import make_object, make_scan
from tests.solver.scans import Values, place, with_positions


def moves(count: int, size: float = 2.0) -> Values:
    return np.random.default_rng(7).uniform(-size, size, (count, 2))


@pytest.mark.parametrize('fixed_probe', [False, True])
def test_moved_frames_are_those_of_a_moved_scan(ops: Ops, fixed_probe: bool) -> None:
    scan = make_scan(side=4, modes=2)
    moved = with_positions(scan, lambda positions: positions + moves(16))
    problem, wanted = (
        Problem.for_scan(ops, one, 2, fixed_probe=fixed_probe) for one in (scan, moved)
    )
    assert problem.canvas == wanted.canvas
    placed = place(ops, make_object(problem.canvas.shape), scan.probe)
    before = problem.sweep(placed, 0, with_probe=False)
    problem.move_frames(moved.positions_px)
    np.testing.assert_array_equal(problem.positions_px, moved.positions_px)
    for found, other in zip(problem.batches(), wanted.batches(), strict=True):
        np.testing.assert_array_equal(found.frames, other.frames)
        np.testing.assert_array_equal(found.corners, other.corners)
        np.testing.assert_array_equal(found.shifts_px, other.shifts_px)
    # What was kept of the probe and the dose is no longer true.
    swept, expected = (one.sweep(placed, 0, with_probe=False) for one in (problem, wanted))
    assert swept.misfit == pytest.approx(expected.misfit, rel=1e-5)
    assert swept.misfit != pytest.approx(before.misfit, rel=1e-2)
    dose = ops.numpy(expected.dose)
    np.testing.assert_allclose(ops.numpy(swept.dose), dose, atol=1e-5 * dose.max())
    np.testing.assert_array_equal(scan.positions_px, make_scan(side=4, modes=2).positions_px)


def test_moved_frames_stay_on_the_canvas() -> None:
    scan = make_scan(side=4, with_guess=False)
    problem = Problem.for_scan(NumpyOps(), scan, 2, fixed_probe=False)
    problem.move_frames(scan.positions_px + 100 * moves(16))
    for batch in problem.batches():
        assert (batch.corners >= 0).all()
        assert (batch.corners + scan.frame_size <= problem.canvas.shape).all()


def test_a_margin_gives_every_frame_room() -> None:
    scan = make_scan(side=4, with_guess=False)
    canvas = Problem.for_scan(NumpyOps(), scan, 2, fixed_probe=False).canvas
    problem = Problem.for_scan(NumpyOps(), scan, 2, fixed_probe=False, margin_px=9)
    corners, _ = patch_placement(scan.positions_px, scan.frame_size)
    start = np.asarray(problem.canvas.origin_px)
    assert (start <= corners.min(axis=0) - 9).all()
    end = start + problem.canvas.shape
    assert (end >= corners.max(axis=0) + scan.frame_size + 9).all()
    # The canvas without margin lies within.
    assert (start <= canvas.origin_px).all()
    assert (end >= np.asarray(canvas.origin_px) + canvas.shape).all()
    for way in (-7.5, 7.5):
        problem.move_frames(scan.positions_px + way)
        np.testing.assert_array_equal(problem.positions_px, scan.positions_px + way)
