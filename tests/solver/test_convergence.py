"""The accelerated solver finds the object, and the probe, that made the counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import fourier_shift
from skimage.registration import phase_cross_correlation

from ptychopinn_plugin.physics.ambiguities import aligned, without_ramp
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.subset_sums import Sweep
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.helpers import KnownScan, expected_counts
from tests.solver.scans import (
    Values,
    core_score,
    defocused,
    known_scan,
    make_solver,
    object_of,
    probe_of,
    solve,
    with_positions,
    with_probe,
)


@pytest.fixture(scope='module')
def known() -> KnownScan:
    return known_scan()


@pytest.mark.parametrize(
    ('options', 'limit'),
    [
        ({}, 0.002),
        ({'modes': 3}, 0.002),
        ({'bad_pixels': 200}, 0.002),
        ({'with_guess': False}, 0.002),
        ({'noise': True}, 0.015),
    ],
    ids=str,
)
def test_the_truth_is_found(ops: Ops, options: dict[str, bool], limit: float) -> None:
    known = known_scan(**options)
    solver = solve(ops, known.scan, 25)
    if not options.get('noise'):
        assert solver.residual() < 2e-6
    found = core_score(solver, known) if 'with_guess' not in options else None
    if found is not None:
        assert found.nrmse < limit
        assert found.phase_ssim > 0.98


@pytest.mark.parametrize('update_probe', [False, True])
def test_frameworks_agree_with_numpy(other_ops: Ops, update_probe: bool) -> None:
    # Noise-free: where the model expects no photon, the phase given to a stray one is rounding.
    scan = known_scan(modes=2, bad_pixels=30).scan
    found, wanted = (
        solve(ops, scan, 4, update_probe=update_probe) for ops in (other_ops, NumpyOps())
    )
    lit = NumpyOps().numpy(wanted.problem.dose(scan.probe))
    lit = lit > 0.01 * lit.max()
    np.testing.assert_allclose(object_of(found)[lit], object_of(wanted)[lit], atol=1e-4)
    peak = np.abs(scan.probe).max()
    np.testing.assert_allclose(probe_of(found), probe_of(wanted), atol=1e-4 * peak)
    assert found.residual() == pytest.approx(wanted.residual(), rel=1e-3)


def test_the_residual_is_that_of_the_result(ops: Ops, known: KnownScan) -> None:
    solver = solve(ops, known.scan, 3, update_probe=True)
    counts = expected_counts(object_of(solver), probe_of(solver), known.scan.positions_px)
    difference = np.sqrt(counts) - np.sqrt(known.scan.counts)
    wanted = float(np.sum(difference**2) / known.scan.counts.sum())
    assert solver.residual() == pytest.approx(wanted, rel=1e-3)
    assert solver.finish() == pytest.approx(wanted, rel=1e-3)


def test_a_pass_reports_its_residual(ops: Ops, known: KnownScan) -> None:
    solver = make_solver(ops, known.scan, subsets=1)
    # One subset is met before the only update of the pass.
    start = solver.residual()
    assert solver.one_pass() == pytest.approx(start, rel=1e-4)
    assert solver.residual() < start
    assert (solver.passes, solver.resets) == (1, 0)


def move(image: Values, shift_px: tuple[float, float]) -> Values:
    """Return a band-limited image moved down and right."""
    return np.asarray(np.fft.ifft2(fourier_shift(np.fft.fft2(image), shift_px)))


def distance(found: Values, truth: Values) -> Values:
    """Return by how much (row, column) an object lies beyond the truth, to 0.005 px."""
    window = np.hanning(truth.shape[0])[:, None] * np.hanning(truth.shape[1])
    flat = [without_ramp(image) for image in (found, truth)]
    images = [(image - image.mean()) * window for image in flat]
    shift, _, _ = phase_cross_correlation(*images, upsample_factor=200, normalization=None)
    return np.asarray(shift)


@pytest.mark.parametrize('offset_px', [(0.0, 0.0), (0.3, -0.2), (-0.5, 0.5), (2.0, 1.25)])
def test_the_object_lies_where_the_positions_say(
    ops: Ops, known: KnownScan, offset_px: tuple[float, float]
) -> None:
    scan = with_positions(known.scan, lambda positions: positions + offset_px)
    solver = solve(ops, scan, 20)
    core = scanned_core(known.scan.positions_px, margin=2)
    found, wanted = object_of(solver)[core], move(known.ground_truth, offset_px)[core]
    np.testing.assert_allclose(distance(found, wanted), 0, atol=0.02)
    assert np.linalg.norm(aligned(found, wanted) - wanted) < 0.02 * np.linalg.norm(wanted)
    if any(offset_px):
        assert np.abs(distance(found, known.ground_truth[core])).max() > 0.1


def test_the_scale_of_the_counts_stays_with_the_probe(ops: Ops) -> None:
    scan = known_scan().scan
    brighter = dataclasses.replace(scan, counts=scan.counts * 4, probe=scan.probe * 2)
    for update_probe in (False, True):
        one, other = (solve(ops, each, 6, update_probe=update_probe) for each in (scan, brighter))
        np.testing.assert_allclose(object_of(other), object_of(one), atol=2e-4)
        np.testing.assert_allclose(
            probe_of(other), 2 * probe_of(one), atol=4e-4 * np.abs(scan.probe).max()
        )


def test_empty_space_is_one(ops: Ops, known: KnownScan) -> None:
    positions = known.scan.positions_px
    empty = np.ones_like(known.ground_truth)
    counts = expected_counts(empty, known.scan.probe, positions).astype(np.float32)
    solver = make_solver(ops, dataclasses.replace(known.scan, counts=counts))
    assert solver.one_pass() < 1e-9
    np.testing.assert_allclose(object_of(solver), empty, atol=1e-4)


def test_a_fixed_probe_stays(ops: Ops, known: KnownScan) -> None:
    before = known.scan.probe.copy()
    solver = solve(ops, known.scan, 3)
    np.testing.assert_array_equal(probe_of(solver), before)
    solve(ops, known.scan, 3, update_probe=True)
    np.testing.assert_array_equal(known.scan.probe, before)


def test_the_probe_moves_from_the_first_pass_on(ops: Ops, known: KnownScan) -> None:
    solver = make_solver(ops, known.scan, update_probe=True)
    solver.one_pass()
    assert np.abs(probe_of(solver) - known.scan.probe).max() > 0


@pytest.mark.parametrize('modes', [1, 2])
def test_refining_mends_a_wrong_probe(ops: Ops, modes: int) -> None:
    known = known_scan(modes=modes)
    wrong = with_probe(known.scan, defocused)
    fixed = solve(ops, wrong, 20)
    refined = solve(ops, wrong, 20, update_probe=True)
    assert refined.residual() < 0.05 * fixed.residual()
    assert core_score(refined, known).nrmse < 0.5 * core_score(fixed, known).nrmse
    if modes == 1:
        truth = known.scan.probe[0]
        off, left = (_probe_error(probe, truth) for probe in (wrong.probe[0], probe_of(refined)[0]))
        # Moving together from the first update, object and probe share a tilt that frames of a
        # small scan hardly tell apart.
        assert left < 0.4 * off


def _probe_error(probe: Values, truth: Values) -> float:
    """Return the relative difference after the best complex scale."""
    scaled = probe * (np.vdot(probe, truth) / np.vdot(probe, probe))
    return float(np.linalg.norm(scaled - truth) / np.linalg.norm(truth))


def test_momentum_and_subsets_make_it_faster(known: KnownScan) -> None:
    plain, momentum, subsets = (
        solve(NumpyOps(), known.scan, 8, **settings).residual()
        for settings in (
            {'momentum': 0.0, 'subsets': 1},
            {'momentum': 0.9, 'subsets': 1},
            {'momentum': 0.9, 'subsets': 4},
        )
    )
    assert subsets < 0.3 * momentum
    assert momentum < 0.7 * plain


def test_object_and_probe_are_extrapolated_along_their_change(ops: Ops, known: KnownScan) -> None:
    solver = make_solver(ops, known.scan, subsets=1, update_probe=True)
    for _ in range(3):
        solver.one_pass()
    now, earlier = solver.state.now, solver.state.earlier
    # The fourth update since the start adds three quarters of the last change.
    ahead = Unknowns(
        now.canvas_object + 0.75 * (now.canvas_object - earlier.canvas_object),
        now.probe + 0.75 * (now.probe - earlier.probe),
    )
    wanted = solver.problem.misfit(0, ahead) / solver.problem.total_counts
    assert solver.one_pass() == pytest.approx(wanted, rel=1e-4)
    assert solver.resets == 0


def test_dropping_momentum_where_the_misfit_rises_pays(
    known: KnownScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = solve(NumpyOps(), known.scan, 40, momentum=0.99)
    monkeypatch.setattr('ptychopinn_plugin.solver.momentum.RISE_TOLERANCE', np.inf)
    unguarded = solve(NumpyOps(), known.scan, 40, momentum=0.99)
    assert guarded.resets > 0 == unguarded.resets
    assert guarded.residual() < 0.3 * unguarded.residual()


def test_a_rise_without_momentum_is_not_swept_again(
    known: KnownScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = 0
    sweep = Problem.sweep

    def counted(problem: Problem, *arguments: object, **options: object) -> Sweep:
        nonlocal sweeps
        sweeps += 1
        return sweep(problem, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Problem, 'sweep', counted)
    # Every misfit counts as a rise, so that no update has momentum.
    monkeypatch.setattr('ptychopinn_plugin.solver.momentum.RISE_TOLERANCE', -1.0)
    solver = make_solver(NumpyOps(), known.scan, subsets=4)
    for _ in range(2):
        solver.one_pass()
    assert solver.resets == sweeps == 8


def test_subsets_are_joined_where_a_pass_gains_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    known = known_scan(noise=True, photons=1000)
    joined = solve(NumpyOps(), known.scan, 30)
    assert len(joined.problem.subsets) == 1
    monkeypatch.setattr('ptychopinn_plugin.solver.kept_states.STALL_GAIN', -np.inf)
    apart = solve(NumpyOps(), known.scan, 30)
    assert len(apart.problem.subsets) == apart.config.subsets
    assert joined.residual() < apart.residual()
    assert core_score(joined, known).nrmse < core_score(apart, known).nrmse


def test_every_dealing_is_given_a_chance() -> None:
    solver = make_solver(NumpyOps(), known_scan(noise=True, photons=1000).scan, subsets=16)
    numbers = []
    for _ in range(40):
        solver.one_pass()
        numbers.append(len(solver.problem.subsets))
    assert numbers[-1] == 1
    # A pass can only be judged by the one before it in the same dealing.
    assert all(numbers.count(number) > 1 for number in numbers)


def test_the_direction_is_that_of_the_last_pass(ops: Ops, known: KnownScan) -> None:
    solver = make_solver(ops, known.scan, subsets=1, object_step=0.5)
    with pytest.raises(ValueError, match='before the first pass'):
        solver.direction()
    start = object_of(solver)
    solver.one_pass()
    direction, dose = (ops.numpy(part) for part in solver.direction())
    np.testing.assert_allclose(object_of(solver), start + 0.5 * direction, atol=1e-5)
    wanted = ops.numpy(solver.problem.dose(solver.probe))
    np.testing.assert_allclose(dose, wanted, atol=1e-5 * wanted.max())
    # Dealt in subsets, the dose is still that of all frames.
    dealt = make_solver(ops, known.scan, subsets=4)
    for _ in range(2):
        dealt.one_pass()
    np.testing.assert_allclose(ops.numpy(dealt.direction()[1]), wanted, atol=1e-5 * wanted.max())
