"""A scan divided among processes gives what one process gives."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.canvas import patch_placement
from ptychopinn_plugin.solver import Problem
from ptychopinn_plugin.solver.parts.communicator import Communicator
from ptychopinn_plugin.solver.parts.rectangles import Rectangle, divide_plane
from ptychopinn_plugin.solver.parts.scan_part import ScanPart
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.solver.process_threads import in_threads
from tests.solver.scans import Values, known_scan, place, raster_scan

EQUAL = 1e-5
PASSES = 5
QUICK: dict[str, dict[str, Any]] = {
    # The Poisson step divides by the counts that a probe predicts: held, it amplifies rounding by
    # more than 1e-5, in one process too. It is compared update by update below.
    'fixed probe': {'update_probe': 'off', 'noise_model': 'amplitude'},
    'probe': {'update_probe': 'on'},
    'background': {'update_background': True},
    'flux': {'update_flux': True},
    'positions': {'update_positions': 'on', 'refine_iterations': 6},
}
MORE: dict[str, dict[str, Any]] = {
    'automatic': {'auto': True, 'refine_iterations': 12},
    'probe variation': {'opr_modes': 2, 'refine_iterations': 8},
    'modes': {'probe_modes': 2},
    'total variation': {'total_variation': 0.01},
    'smoothness': {'object_smoothness': 0.1},
    'grid removal': {'remove_grid_artifacts': True},
    'gauges': {'center_probe': True, 'probe_power': 1e4},
    'limits': {'object_amplitude_max': 1.0},
    'no prior': {'object_prior': False},
    'errors': {'estimate_errors': True},
    'usual': {'refine_iterations': 24},
}


@functools.cache
def dim_scan(side: int = 8) -> ScanData:
    return known_scan(side=side, noise=True, photons=1e5).scan


def reconstruct(
    scan: ScanData, communicator: Communicator | None = None, **settings: Any
) -> Reconstruction:
    config = InferenceConfig(**{'refine_iterations': PASSES, 'estimate_errors': False} | settings)
    return run_reconstruction(
        NumpyOps(), scan, config, Monitor(), backend='pytorch', communicator=communicator
    )


def assert_equal(one: Reconstruction, divided: Reconstruction, equal: float = EQUAL) -> None:
    """Compare a result of several processes with that of one."""
    lit = np.isfinite(one.object_canvas)
    np.testing.assert_array_equal(np.isfinite(divided.object_canvas), lit)
    for found, wanted in (
        (divided.object_canvas[lit], one.object_canvas[lit]),
        (divided.probe, one.probe),
        (divided.coverage, one.coverage),
    ):
        assert np.linalg.norm(found - wanted) < equal * np.linalg.norm(wanted)
    np.testing.assert_allclose(divided.positions_px, one.positions_px, atol=equal)
    np.testing.assert_allclose(divided.residual, one.residual, atol=equal * one.residual[0])
    assert divided.origin_px == one.origin_px
    assert divided.remarks == one.remarks


def compare(scan: ScanData, processes: int, settings: dict[str, Any]) -> list[Reconstruction]:
    one = reconstruct(scan, **settings)
    found = in_threads(processes, lambda group: reconstruct(scan, group, **settings))
    assert_equal(one, found[0])
    return found


@pytest.mark.parametrize('name', QUICK)
def test_two_processes_give_what_one_gives(name: str) -> None:
    compare(dim_scan(), 2, QUICK[name])


@pytest.mark.slow
@pytest.mark.parametrize('name', [*QUICK, *MORE])
def test_four_processes_give_what_one_gives(name: str) -> None:
    compare(dim_scan(12), 4, (QUICK | MORE)[name])


@pytest.mark.slow
def test_a_raster_is_freed_of_its_period_in_parts_too() -> None:
    compare(raster_scan().scan, 3, {'refine_iterations': 8})


def test_a_few_passes_estimate_the_errors_in_the_first_process() -> None:
    first, other = compare(dim_scan(), 2, {'estimate_errors': True, 'refine_iterations': 2})
    assert first.quality is not None
    assert other.quality is None


@pytest.mark.parametrize('with_probe', [False, True])
def test_sums_of_an_update_are_those_of_one_process(with_probe: bool) -> None:
    scan, ops = dim_scan(), NumpyOps()
    whole = Problem.for_scan(ops, scan, 4, fixed_probe=False)
    one = whole.sweep(_start(whole), 1, with_probe=with_probe)

    def divided(group: Communicator) -> tuple[Problem, Any]:
        problem = Problem.for_scan(ops, scan, 4, fixed_probe=False, communicator=group)
        return problem, problem.sweep(_start(problem), 1, with_probe=with_probe)

    assert whole.total_counts > 0
    for problem, sweep in in_threads(3, divided):
        part = part_of(problem)
        box = part.boxes[part.communicator.rank]
        rows, columns = box.inside(Rectangle(0, 0, *whole.canvas.shape))
        assert problem.total_counts == pytest.approx(whole.total_counts, rel=1e-9)
        assert sweep.misfit == pytest.approx(one.misfit, rel=1e-5)
        for found, wanted in (
            (sweep.direction, one.direction[rows, columns]),
            (sweep.dose, one.dose[rows, columns]),
            (sweep.largest_dose, one.dose.max()),
            (sweep.probe_direction, one.probe_direction),
            (sweep.object_power, one.object_power),
        ):
            if wanted is not None:
                assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def part_of(problem: Problem) -> ScanPart:
    assert isinstance(problem.partition, ScanPart)
    return problem.partition


def _start(problem: Problem) -> Unknowns:
    return place(problem.ops, np.ones(problem.canvas.shape, np.complex64), problem.scan.probe)


def test_a_frame_that_leaves_its_part_is_followed() -> None:
    scan = dim_scan()

    def moved(group: Communicator) -> tuple[ScanPart, Values, Values, Values]:
        config = InferenceConfig(update_positions='on')
        solver = prepare_solver(NumpyOps(), scan, config, lambda: None, communicator=group)
        before = part_of(solver.problem)
        solver.one_pass()
        image = before.whole(solver.canvas_object)
        # Further than the margin, as far as the canvas reaches.
        solver.move_frames(scan.positions_px + 20)
        placed = solver.problem.positions_px
        after = part_of(solver.problem)
        assert after is not before
        again = after.whole(solver.canvas_object)
        # What the solver may return to lies on the new parts too.
        for _, state in (solver._kept.best, solver._kept.first):
            assert state.now.canvas_object.shape == solver.problem.canvas.shape
        solver.one_pass()
        return after, placed, np.asarray(image), np.asarray(again)

    (part, placed, image, again), _ = in_threads(2, moved)
    np.testing.assert_array_equal(image, again)
    for frames, box in zip(part.assigned, part.boxes, strict=True):
        corners, _ = patch_placement(placed[frames], part.size)
        corners -= np.asarray(part.whole_canvas.origin_px)
        assert (corners >= (box.top, box.left)).all()
        assert (corners + part.size <= (box.bottom, box.right)).all()


@pytest.mark.parametrize('count', [1, 2, 3, 5, 8])
def test_parts_cover_the_plane_and_hold_as_many_frames_each(count: int) -> None:
    rng = np.random.default_rng(0)
    plane = Rectangle(0, 0, 90, 200)
    centres = rng.uniform((10, 10), (80, 190), (240, 2))
    parts = divide_plane(centres, plane, count)
    covered = np.zeros(plane.shape, int)
    for frames, rectangle in parts:
        covered[rectangle.inside(plane)] += 1
        assert len(frames) == 240 // count
        rows, columns = rectangle.inside(plane)
        assert (np.rint(centres[frames]) >= (rows.start, columns.start)).all()
        assert (np.rint(centres[frames]) <= (rows.stop, columns.stop)).all()
    assert (covered == 1).all()
    np.testing.assert_array_equal(np.sort(np.concatenate([f for f, _ in parts])), np.arange(240))


def test_strips_are_what_goes_between_processes() -> None:
    scan, ops = known_scan(side=16, step_px=6.0).scan, NumpyOps()

    def sent(group: Communicator) -> tuple[ScanPart, int]:
        problem = Problem.for_scan(ops, scan, 1, fixed_probe=False, communicator=group)
        problem.sweep(_start(problem), 0, with_probe=True)
        part = part_of(problem)
        return part, part.bytes_sent

    (part, first), (_, second) = in_threads(2, sent)
    strip = part.boxes[0].overlap(part.boxes[1]).pixels
    # The gradient image and the dose of the pixels that both have: complex64 and float32.
    assert first == second == 12 * strip
    assert strip < 0.4 * np.prod(part.whole_canvas.shape)


@pytest.mark.parametrize('processes', [2, 5])
def test_no_process_gets_the_whole_canvas_for_the_prior(processes: int) -> None:
    scan, ops = dim_scan(), NumpyOps()
    rng = np.random.default_rng(0)
    whole = Problem.for_scan(ops, scan, 1, fixed_probe=False)
    shape = (whole.canvas.shape[0] + 3, whole.canvas.shape[1] + 5)
    image = rng.normal(size=(*whole.canvas.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    gains = rng.uniform(size=shape).astype(np.float32)
    wanted = whole.partition.scale_spectrum(ops, image, shape, lambda some: gains[:, some])

    def scaled(group: Communicator) -> tuple[ScanPart, int, Values]:
        problem = Problem.for_scan(ops, scan, 1, fixed_probe=False, communicator=group)
        part = part_of(problem)
        rows, columns = part.boxes[group.rank].inside(Rectangle(0, 0, *whole.canvas.shape))
        own = image[rows, columns]
        found = part.scale_spectrum(ops, own, shape, lambda some: gains[:, some])
        return part, part.bytes_sent, np.asarray(found)

    for rank, (part, sent, found) in enumerate(in_threads(processes, scaled)):
        rows, columns = part.boxes[rank].inside(Rectangle(0, 0, *whole.canvas.shape))
        size = np.abs(wanted).max()
        np.testing.assert_allclose(found, wanted[rows, columns], atol=1e-5 * size)
        # Its own rectangle, its rows twice and its columns, without what it keeps; and the halos.
        halos = (
            sum(box.pixels for box in part.boxes) - whole.canvas.shape[0] * whole.canvas.shape[1]
        )
        assert sent < 8 * (4 * 1.5 * np.prod(shape) / processes + halos)


def test_more_processes_than_frames_are_refused() -> None:
    few = dim_scan().subset(np.arange(2))
    with pytest.raises(ReconstructionError, match='2 frames cannot be divided among 3 processes'):
        in_threads(3, lambda group: reconstruct(few, group))


def test_an_error_in_one_process_is_raised() -> None:
    def work(group: Communicator) -> None:
        if group.rank == 1:
            raise ValueError('of process 1')
        group.all_numbers(np.zeros(1))

    with pytest.raises(ValueError, match='of process 1'):
        in_threads(2, work)
