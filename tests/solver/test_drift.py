"""A probe that varies along the scan."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.solver import AcceleratedSolver, Problem
from ptychopinn_plugin.solver.estimators.drift import (
    EARLY_CONTRAST,
    EARLY_PASS,
    FIRST_PASS,
    FUNCTIONS,
    LOOK_PASS,
    DriftEstimator,
    free_variation,
)
from ptychopinn_plugin.solver.estimators.tilt import remove_tilt
from ptychopinn_plugin.solver.sweeps import predict
from ptychopinn_plugin.solver.trials.automatic import DRIFT_FRAMES
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.helpers import KnownScan, expected_counts, make_object, make_probe, make_scan
from tests.physics.world import relative
from tests.solver.scans import Values, core_score, known_scan, make_solver, prepared, with_counts

FRAMES = 36


def basis_of(frames: int, functions: int = 3) -> Values:
    return np.random.default_rng(5).normal(size=(frames, functions)).astype(np.float32)


def variation_of(probe: Values, functions: int = 3) -> Values:
    """Return changes of a probe, (functions, N, N), as strong as a tenth of it."""
    rng = np.random.default_rng(6)
    y, x = np.mgrid[: probe.shape[-1], : probe.shape[-1]] / probe.shape[-1]
    waves = [np.exp(2j * np.pi * (a * y + b * x)) for a, b in rng.uniform(-2, 2, (functions, 2))]
    return np.asarray((0.1 * probe[0] * np.stack(waves)).astype(np.complex64))


def whole_misfit(problem: Problem, unknowns: Unknowns) -> float:
    return sum(problem.misfit(index, unknowns) for index in range(len(problem.subsets)))


@pytest.mark.parametrize('modes', [1, 3])
def test_frames_are_those_of_their_own_probes(ops: Ops, modes: int) -> None:
    scan = make_scan(side=4, modes=modes)
    problem = Problem.for_scan(ops, scan, 2, fixed_probe=False)
    problem.frame_values.basis = basis_of(16)
    truth, variation = make_object(problem.canvas.shape), variation_of(scan.probe)
    unknowns = Unknowns(ops.array(truth), ops.array(scan.probe), ops.array(variation))
    for batch in problem.batches():
        placed = problem.to_device(batch, unknowns)
        found = ops.numpy(predict(ops, unknowns, placed, problem.good).counts)
        for frame, counts in zip(batch.frames, found, strict=True):
            probe = scan.probe.copy()
            probe[0] += np.tensordot(problem.frame_values.basis[frame], variation, 1)
            wanted = expected_counts(truth, probe, scan.positions_px[frame : frame + 1])[0]
            assert relative(np.fft.fftshift(counts), wanted) < 1e-4


def test_the_gradient_of_the_variation_is_that_of_the_misfit(ops: Ops) -> None:
    scan = make_scan(side=4, photons=1e4)
    problem = Problem.for_scan(ops, scan, 1, fixed_probe=False)
    problem.frame_values.basis = basis_of(16)
    variation, change = variation_of(scan.probe), variation_of(scan.probe[:, ::-1])
    start = Unknowns(ops.array(make_object(problem.canvas.shape)), ops.array(scan.probe))
    at = [start._replace(variation=ops.array(variation + s * change)) for s in (-0.02, 0, 0.02)]
    slope = (problem.misfit(0, at[2]) - problem.misfit(0, at[0])) / 0.04
    image = ops.numpy(problem.sweep(at[1], 0, with_probe=True).variation_direction)
    assert slope == pytest.approx(-2 * np.vdot(image, change).real, rel=0.01)


def other_changes(main: Values) -> list[Values]:
    """Return scale, phase, ramps and shifts of a mode."""
    y, x = np.mgrid[: len(main), : len(main)] - len(main) // 2
    frequency = np.fft.fftfreq(len(main))
    spectrum = np.fft.fft2(main)
    shifts = [np.fft.ifft2(1j * k * spectrum) for k in (frequency[:, None], frequency)]
    return [main, 1j * main, 1j * y * main, 1j * x * main, *shifts]


def test_a_free_variation_is_nothing_else(ops: Ops) -> None:
    probe = make_probe(32, 2)
    direction = variation_of(probe, 8)
    found = ops.numpy(free_variation(ops, ops.array(direction), ops.array(probe)))
    for image, before in zip(found, direction, strict=True):
        for other in other_changes(probe[0].astype(np.complex128)):
            limit = 1e-4 * np.linalg.norm(other) * np.linalg.norm(before)
            assert abs(np.vdot(other, image).real) < limit
    assert np.abs(found - direction).max() > 0.1 * np.abs(direction).max()
    # What is free stays, and what is not goes altogether.
    again = ops.numpy(free_variation(ops, ops.array(found), ops.array(probe)))
    np.testing.assert_allclose(again, found, atol=1e-5 * np.abs(found).max())
    others = np.stack(other_changes(probe[0])).astype(np.complex64)
    rest = ops.numpy(free_variation(ops, ops.array(others), ops.array(probe)))
    for image, before in zip(rest, others, strict=True):
        assert np.linalg.norm(image) < 1e-4 * np.linalg.norm(before)


def tilts_of(solver: AcceleratedSolver) -> Values:
    """Return the mean phase step along rows of each frame's probe, radians a pixel."""
    ops, basis = solver.problem.ops, solver.problem.frame_values.basis
    assert basis is not None
    now = solver.state.now
    probes = ops.numpy(now.probe)[0] + np.tensordot(basis, ops.numpy(now.variation), 1)
    return np.asarray(np.angle(np.sum(probes[:, 1:] * probes[:, :-1].conj(), axis=(1, 2))))


def test_a_tilt_goes_to_the_object(ops: Ops) -> None:
    known = known_scan(side=6)
    solver = make_solver(ops, known.scan, update_probe=True)
    solver.set_object(ops.array(known.ground_truth))
    solver.passes = 1
    DriftEstimator().after_pass(solver)
    basis = solver.problem.frame_values.basis
    assert basis is not None
    # Probes that tilt with the row of their position, as far as the basis can follow.
    rows = known.scan.positions_px[:, 0]
    slopes = 0.004 * (rows - rows.mean())
    y = np.arange(32)[:, None] - 16
    probes = known.scan.probe[0] * np.exp(1j * slopes[:, None, None] * y)
    weights = np.column_stack([np.ones(FRAMES), basis])
    parts = np.tensordot(np.linalg.pinv(weights), probes, 1).astype(np.complex64)
    solver.transform(
        lambda u: u._replace(probe=ops.array(parts[:1]), variation=ops.array(parts[1:]))
    )
    before, misfit = tilts_of(solver), whole_misfit(solver.problem, solver.state.now)
    remove_tilt(solver)
    change = whole_misfit(solver.problem, solver.state.now) - misfit
    assert before.std() == pytest.approx(slopes.std(), rel=0.1)
    assert tilts_of(solver).std() < 0.2 * before.std()
    assert abs(change) < 1e-3 * solver.problem.total_counts
    assert misfit > 1e-3 * solver.problem.total_counts


def drifting(known: KnownScan) -> KnownScan:
    """Return a scan whose probe is another one towards its end, of the same light."""
    probe = known.scan.probe
    along = np.linspace(-1, 1, len(known.scan.positions_px))
    lens = 60 * np.add.outer(np.fft.fftfreq(32) ** 2, 0.3 * np.fft.fftfreq(32) ** 2)
    counts = np.concatenate(
        [
            expected_counts(
                known.ground_truth,
                np.fft.ifft2(np.fft.fft2(probe) * np.exp(1j * where * lens)).astype(np.complex64),
                position[None],
            )
            for where, position in zip(along, known.scan.positions_px, strict=True)
        ]
    )
    return KnownScan(with_counts(known.scan, lambda _: counts), known.ground_truth)


def test_a_drifting_probe_is_followed(ops: Ops) -> None:
    known = drifting(known_scan(side=7))
    settings = {'noise_model': 'amplitude', 'object_prior': False}
    fixed, followed = (
        prepared(ops, known.scan, 15, opr_modes=modes, **settings) for modes in (0, 2)
    )
    assert followed.residual() < 0.5 * fixed.residual()
    assert core_score(followed, known).nrmse < 0.8 * core_score(fixed, known).nrmse


def set_variation(solver: AcceleratedSolver, values: Values) -> None:
    """Give a solver a variation."""
    placed = values.astype(np.complex64)
    solver.change_unknowns(lambda unknowns: unknowns._replace(variation=placed))


def test_a_variation_that_fades_later_is_given_up() -> None:
    ops = NumpyOps()
    scan = make_scan(side=4)
    solver = make_solver(ops, scan, update_probe=True)
    estimator = DriftEstimator(1, selects=True)
    solver.passes = FIRST_PASS - 1
    estimator.after_pass(solver)
    change = variation_of(solver.probe, FUNCTIONS) * np.eye(FUNCTIONS)[0][:, None, None]
    lasting = [1.0, 0.97, 0.94, 0.91, 0.88, 0.86, 0.84, 0.82]
    for number, strength in enumerate([*lasting, 0.7]):
        assert estimator.active
        set_variation(solver, strength * change)
        solver.passes = FIRST_PASS + number
        estimator.after_pass(solver)
    assert solver.passes > LOOK_PASS
    assert not estimator.active
    assert solver.state.now.variation is None


@pytest.mark.parametrize('contrast', [0.8 * EARLY_CONTRAST, 1.2 * EARLY_CONTRAST])
def test_a_variation_that_does_not_stand_out_is_given_up_early(contrast: float) -> None:
    solver = make_solver(NumpyOps(), make_scan(side=4), update_probe=True)
    estimator = DriftEstimator(1, selects=True)
    solver.passes = FIRST_PASS - 1
    estimator.after_pass(solver)
    # Images of disjoint columns are orthogonal: their singular values are those that are set.
    columns = np.eye(FUNCTIONS, solver.probe.shape[-1])[:, None]
    sizes = np.concatenate([[contrast], np.ones(FUNCTIONS - 1)])[:, None, None]
    for passes in range(FIRST_PASS, EARLY_PASS + 1):
        assert estimator.active
        set_variation(solver, columns * sizes * np.ones_like(solver.probe))
        solver.passes = passes
        estimator.after_pass(solver)
    assert estimator.contrast == pytest.approx(contrast, rel=1e-3)
    assert estimator.active == (contrast > EARLY_CONTRAST)


def test_auto_follows_a_drifting_probe_of_64_frames(ops: Ops) -> None:
    known = drifting(known_scan(side=8))
    assert known.scan.frame_count == DRIFT_FRAMES
    held, followed = (
        prepared(ops, known.scan, 15, auto=auto, update_probe='on') for auto in (False, True)
    )
    assert followed.residual() < 0.5 * held.residual()
    assert core_score(followed, known).nrmse < 0.8 * core_score(held, known).nrmse


def test_a_steady_probe_is_left_alone(ops: Ops) -> None:
    solver = make_solver(ops, known_scan(side=6, noise=True).scan, update_probe=True)
    estimator = DriftEstimator(1, selects=True)
    solver.estimators = (estimator,)
    for _ in range(LOOK_PASS):
        solver.one_pass()
    assert not estimator.active
    assert solver.problem.frame_values.basis is None
    assert solver.state.now.variation is None
