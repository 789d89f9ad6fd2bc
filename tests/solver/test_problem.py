"""A scan prepared for sweeps: it is the experiment, in any dealing, with or without caches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver import AcceleratedSolver, Problem
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.helpers import expected_counts, make_known_scan, make_object, make_probe, make_scan
from tests.solver.scans import Values, known_scan, make_solver, object_of, place, with_positions


def whole_misfit(problem: Problem, canvas_object: Values, probe: Values) -> float:
    ops = problem.ops
    placed = place(ops, canvas_object, probe)
    return sum(problem.misfit(index, placed) for index in range(len(problem.subsets)))


@pytest.mark.parametrize('modes', [1, 3])
def test_the_truth_explains_the_counts(ops: Ops, modes: int) -> None:
    known = known_scan(side=4, modes=modes, bad_pixels=20)
    problem = Problem.for_scan(ops, known.scan, 3, fixed_probe=True)
    assert problem.canvas.shape == known.ground_truth.shape
    misfit = whole_misfit(problem, known.ground_truth, known.scan.probe)
    assert misfit < 1e-9 * problem.total_counts
    sweep = problem.sweep(place(ops, known.ground_truth, known.scan.probe), 0, with_probe=True)
    peak = np.abs(ops.numpy(sweep.dose)).max()
    assert np.abs(ops.numpy(sweep.direction)).max() < 1e-4 * peak


def test_misfit_is_that_of_the_formula(ops: Ops) -> None:
    known = make_known_scan(side=4, modes=2, bad_pixels=100)
    scan = known.scan
    guess, probe = make_object(known.ground_truth.shape, seed=9), make_probe(32, 2, photons=8e4)
    difference = np.sqrt(expected_counts(guess, probe, scan.positions_px)) - np.sqrt(scan.counts)
    wanted = float(np.sum(difference[:, ~scan.mask] ** 2))
    problem = Problem.for_scan(ops, scan, 3, fixed_probe=False)
    assert problem.total_counts == pytest.approx(float(scan.counts[:, ~scan.mask].sum()), rel=1e-5)
    assert whole_misfit(problem, guess, probe) == pytest.approx(wanted, rel=1e-4)
    placed = place(ops, guess, probe)
    swept = sum(problem.sweep(placed, index, with_probe=True).misfit for index in range(3))
    assert swept == pytest.approx(wanted, rel=1e-4)


def test_patches_beyond_the_guess_move_the_origin_only(ops: Ops) -> None:
    known = known_scan(side=4)
    moved = with_positions(known.scan, lambda positions: positions - (9, 0))
    problem = Problem.for_scan(ops, moved, 2, fixed_probe=True)
    row = -problem.canvas.origin_px[0]
    assert row > 0
    placed = np.ones(problem.canvas.shape, np.complex64)
    placed[: known.ground_truth.shape[0] - 9 + row] = known.ground_truth[9 - row :]
    assert whole_misfit(problem, placed, moved.probe) < 1e-9 * problem.total_counts


def sweep_parts(problem: Problem, unknowns: Unknowns) -> list[Values]:
    """Return the sums over all subsets: direction, dose, probe direction."""
    ops = problem.ops
    sweeps = [
        problem.sweep(unknowns, index, with_probe=True) for index in range(len(problem.subsets))
    ]
    parts = [(sweep.direction, sweep.dose, sweep.probe_direction) for sweep in sweeps]
    return [np.sum([ops.numpy(part) for part in same], axis=0) for same in zip(*parts, strict=True)]


def test_neither_subsets_nor_batches_matter_to_the_sums(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = make_scan(side=4, modes=2, bad_pixels=50)
    problems = [Problem.for_scan(ops, scan, subsets, fixed_probe=False) for subsets in (1, 5)]
    monkeypatch.setattr(ops, 'batch_pixels', 2 * 32**2)
    problems.append(Problem.for_scan(ops, scan, 3, fixed_probe=False))
    assert len(problems[2].subsets[0]) > len(problems[0].subsets[0])
    placed = place(ops, make_object(problems[0].canvas.shape), scan.probe)
    wanted, *others = (sweep_parts(problem, placed) for problem in problems)
    for found in others:
        for image, truth in zip(found, wanted, strict=True):
            np.testing.assert_allclose(image, truth, atol=1e-5 * np.abs(truth).max())


@pytest.mark.parametrize('varies', [False, True])
def test_shifts_as_sums_of_images_give_the_same_sums(ops: Ops, *, varies: bool) -> None:
    scan = make_scan(side=7, modes=2)
    # One subset has frames enough for images, sixteen have not.
    problems = [Problem.for_scan(ops, scan, subsets, fixed_probe=False) for subsets in (1, 16)]
    placed = place(ops, make_object(problems[0].canvas.shape), scan.probe)
    if varies:
        basis = np.random.default_rng(0).normal(size=(scan.frame_count, 2)).astype(np.float32)
        placed = placed._replace(variation=ops.array((0.2 * scan.probe[:, ::-1]).copy()))
        for problem in problems:
            problem.frame_values.basis = basis
    batch = problems[0].subsets[0][0]
    images = problems[0].to_device(batch, placed).shift_images
    assert images is not None
    assert images.shape[1] == (1 if varies else 2)
    assert problems[1].to_device(problems[1].subsets[0][0], placed).shift_images is None
    found, wanted = (sweep_parts(problem, placed) for problem in problems)
    for image, truth in zip(found, wanted, strict=True):
        assert np.linalg.norm(image - truth) < 5e-3 * np.linalg.norm(truth)


def test_the_number_of_modes_may_change_between_sweeps(ops: Ops) -> None:
    # A graph of TensorFlow that was traced for several numbers of modes holds for any number.
    for modes in (2, 3, 4, 5):
        scan = make_scan(side=7, modes=modes)
        problem = Problem.for_scan(ops, scan, 1, fixed_probe=False)
        placed = place(ops, make_object(problem.canvas.shape), scan.probe)
        assert problem.to_device(problem.subsets[0][0], placed).shift_images is not None
        assert np.isfinite(sweep_parts(problem, placed)[0]).all()


def test_batches_of_a_subset_add_up(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = make_scan(side=4, modes=2)
    whole = Problem.for_scan(ops, scan, 2, fixed_probe=False)
    monkeypatch.setattr(ops, 'batch_pixels', 2 * 2 * 32**2)
    parted = Problem.for_scan(ops, scan, 2, fixed_probe=False)
    assert len(whole.subsets[0]) < len(parted.subsets[0])
    placed = place(ops, make_object(whole.canvas.shape), scan.probe)
    for index in range(2):
        wanted, found = (one.sweep(placed, index, with_probe=True) for one in (whole, parted))
        assert found.misfit == pytest.approx(wanted.misfit, rel=1e-4)
        power, wanted_power = (ops.number(ops.max(sweep.object_power)) for sweep in (found, wanted))
        assert power == pytest.approx(wanted_power, rel=1e-5)
        # At every pixel of the probe, eight patches within the amplitudes 0.5 and 1.
        assert 8 * 0.25 < power < 8


def test_only_doses_that_are_known_are_merged(ops: Ops) -> None:
    scan = make_scan(side=4)
    problem = Problem.for_scan(ops, scan, 4, fixed_probe=True)
    placed = place(ops, make_object(problem.canvas.shape), scan.probe)
    for index in (0, 1, 2):
        problem.sweep(placed, index, with_probe=False)
    while len(problem.subsets) > 1:
        problem.merge_subsets()
        fresh = Problem.for_scan(ops, scan, 4, fixed_probe=False)
        fresh.frames.subsets = problem.subsets
        for index in range(len(problem.subsets)):
            found, wanted = (
                ops.numpy(one.sweep(placed, index, with_probe=False).dose)
                for one in (problem, fresh)
            )
            np.testing.assert_allclose(found, wanted, atol=1e-5 * wanted.max())


def test_cached_probes_and_doses_give_the_same_numbers(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = make_scan(side=4, modes=2, photons=300)
    cached = make_solver(ops, scan, subsets=4)
    for _ in range(8):
        cached.one_pass()
    assert len(cached.problem.subsets) == 1, 'doses were not merged'
    monkeypatch.setattr('ptychopinn_plugin.solver.device_arrays.PROBE_CACHE_BYTES', 0)
    uncached = make_solver(ops, scan, subsets=4)
    uncached.problem.fixed_probe = False
    for _ in range(8):
        uncached.one_pass()
    np.testing.assert_allclose(object_of(cached), object_of(uncached), atol=1e-5)


class CountingOps(NumpyOps):
    """Counts the inverse Fourier transforms."""

    transforms = 0

    def ifft2_unscaled(self, x: Array) -> Array:
        self.transforms += 1
        return super().ifft2_unscaled(x)


def test_the_shifted_probes_are_made_once_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def transforms() -> int:
        ops = CountingOps()
        solver = make_solver(ops, make_scan(side=4, modes=2))
        for _ in range(5):
            solver.one_pass()
        return ops.transforms

    cached = transforms()
    needed = 8 * 16 * 2 * 32**2
    monkeypatch.setattr('ptychopinn_plugin.solver.device_arrays.PROBE_CACHE_BYTES', needed - 1)
    assert transforms() > 1.5 * cached
    monkeypatch.setattr('ptychopinn_plugin.solver.device_arrays.PROBE_CACHE_BYTES', needed)
    assert transforms() == cached


def test_dose_is_that_of_all_frames(ops: Ops) -> None:
    scan = make_scan(side=4, modes=2, photons=1e4)
    problem = Problem.for_scan(ops, scan, 3, fixed_probe=False)
    placed = place(ops, make_object(problem.canvas.shape), scan.probe)
    dose = ops.numpy(problem.dose(placed.probe))
    assert dose.sum() == pytest.approx(16 * 1e4, rel=1e-4)
    swept = sweep_parts(problem, placed)[1]
    np.testing.assert_allclose(dose, swept, atol=1e-5 * dose.max())


def test_a_fixed_dose_is_not_summed_again(ops: Ops) -> None:
    checks: list[None] = []
    scan = make_scan(side=4, photons=1e4)
    problem = Problem.for_scan(ops, scan, 3, fixed_probe=True, check=lambda: checks.append(None))
    placed = place(ops, make_object(problem.canvas.shape), scan.probe)
    wanted = ops.numpy(problem.dose(placed.probe))
    assert checks
    for index in range(3):
        problem.sweep(placed, index, with_probe=False)
    checks.clear()
    found = ops.numpy(problem.dose(placed.probe))
    assert not checks
    np.testing.assert_allclose(found, wanted, atol=1e-5 * wanted.max())


@pytest.mark.parametrize('update_probe', [False, True])
def test_bad_pixels_change_nothing(ops: Ops, update_probe: bool) -> None:
    scan = make_scan(side=4, bad_pixels=150)
    results = []
    for bad in (0, np.nan, 1e7):
        counts = np.where(scan.mask, np.float32(bad), scan.counts)
        solver = make_solver(
            ops, dataclasses.replace(scan, counts=counts), update_probe=update_probe
        )
        residuals = [solver.one_pass() for _ in range(4)]
        results.append((object_of(solver), np.array([*residuals, solver.finish()])))
    for canvas_object, history in results[1:]:
        np.testing.assert_array_equal(canvas_object, results[0][0])
        np.testing.assert_array_equal(history, results[0][1])


@pytest.mark.parametrize('work', ['pass', 'finish', 'dose'])
def test_a_stop_is_obeyed_before_the_next_batch(work: str) -> None:
    ops, asked = NumpyOps(), 0
    ops.batch_pixels = 32**2

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Cancelled('stopped on request')

    scan: ScanData = make_scan()
    problem = Problem.for_scan(ops, scan, 4, fixed_probe=True, check=check)
    solver = AcceleratedSolver(problem, make_solver(ops, scan).config)
    works: dict[str, Callable[[], object]] = {
        'pass': solver.one_pass,
        'finish': solver.finish,
        'dose': lambda: problem.dose(scan.probe),
    }
    with pytest.raises(Cancelled):
        works[work]()
    assert asked == 3


@pytest.mark.parametrize('fixed_probe', [True, False])
def test_a_batch_that_is_gone_leaves_nothing_to_a_later_one(ops: Ops, fixed_probe: bool) -> None:
    """Processes of a divided scan make batches for one look; a later one may take their address."""
    known = known_scan(side=4)
    problem = Problem.for_scan(ops, known.scan, 2, fixed_probe=fixed_probe)
    unknowns = place(ops, known.ground_truth, known.scan.probe)
    (batch,) = problem.subsets[0]
    frames = np.arange(len(batch.frames))
    for number in range(50):
        some = np.roll(frames, number)[: 1 + number % 7]
        passing = FrameBatch(
            batch.frames[some],
            partial(np.take, batch.amplitudes, some, axis=0),
            batch.corners[some],
            batch.shifts_px[some],
        )
        ((_, placed),) = problem.placed([passing], unknowns)
        np.testing.assert_array_equal(ops.numpy(placed.corners), passing.corners)
        if placed.probes is not None:
            assert len(placed.probes) == len(some)
        del passing, placed
