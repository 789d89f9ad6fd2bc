"""The unexplained share is 0 at the noise and 1 for an empty object; the fit follows it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.diagnosis import _advice, _fit, diagnose
from ptychopinn_plugin.solver.divergence import edge_share
from ptychopinn_plugin.solver.misfits import Misfits, amplitude_misfits
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.trials.probe_start import start_probe
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.solver.scans import HARD_SCANS, Values, known_scan, with_positions, with_probe


def solver_of(
    ops: Ops, scan: ScanData, passes: int, *, update_probe: bool = False
) -> AcceleratedSolver:
    config = InferenceConfig(update_probe=update_probe)
    solver = prepare_solver(ops, scan, config, lambda: None)
    for _ in range(passes):
        solver.one_pass()
    return solver


def with_object(solver: AcceleratedSolver, change: Callable[[Values], Values]) -> AcceleratedSolver:
    ops = solver.problem.ops

    def changed(unknowns: Unknowns) -> Unknowns:
        image = change(ops.numpy(unknowns.canvas_object)).astype(np.complex64)
        return unknowns._replace(canvas_object=ops.array(image))

    solver.transform(changed)
    return solver


def test_a_right_reconstruction_is_good(ops: Ops) -> None:
    scan = known_scan(side=8, noise=True, photons=1e5).scan
    diagnosis = diagnose(solver_of(ops, scan, 16))
    assert diagnosis.fit == 'good'
    assert -0.2 < diagnosis.unexplained < 0.1


def test_an_empty_object_leaves_all_unexplained() -> None:
    scan = known_scan(side=8, noise=True, photons=1e5).scan
    solver = solver_of(NumpyOps(), scan, 0)
    assert diagnose(solver).unexplained > 0.9
    assert diagnose(solver).fit == 'failed'
    assert 'ptychopinn check' in diagnose(solver).advice


def test_the_expected_noise_is_that_of_the_true_object() -> None:
    known = known_scan(side=8, noise=True, photons=1e4)
    solver = with_object(solver_of(NumpyOps(), known.scan, 0), lambda _: known.ground_truth)
    misfits = amplitude_misfits(solver)
    assert misfits.found == pytest.approx(misfits.noise, rel=0.05)
    assert abs(misfits.unexplained) < 0.05


def test_frames_that_differ_by_noise_only_do_not_determine_the_object() -> None:
    solver = solver_of(NumpyOps(), HARD_SCANS['a photon a frame'](), 2)
    diagnosis = diagnose(solver)
    assert diagnosis.fit == 'unknown'
    assert math.isnan(diagnosis.unexplained)


def test_a_share_that_noise_gives_by_chance_is_no_reason_to_warn() -> None:
    # Frames that differ by 1000 more than the noise, whose standard deviation is 100.
    misfits = Misfits(found=0, noise=2e4, empty=2.1e4, alike=2e4, photons=1e5, pixels=80_000)
    for found, fit in ((2.02e4, 'good'), (2.04e4, 'poor'), (2.08e4, 'failed'), (2e4, 'good')):
        assert _fit(dataclasses.replace(misfits, found=found)) == fit


def test_a_probe_that_is_too_wrong_for_a_weak_object_is_not_good() -> None:
    """Of the differences a third is left, at an error of two thirds of an empty object's."""
    config = SimulationConfig(
        rows=8, columns=8, photons_per_frame=1e5, amplitude_contrast=0.1, phase_range_rad=0.4
    )
    known = simulate(config).scan
    x = np.arange(known.frame_size) - known.frame_size // 2
    wave = np.exp(-(x[:, None] ** 2 + x**2) / 98)[None].astype(np.complex64)
    wrong = dataclasses.replace(known, probe=wave, object_guess=None)
    # The modulus is right and the phases are not.
    scan = dataclasses.replace(wrong, probe=start_probe(wrong))
    solver = solver_of(NumpyOps(), scan, 24)
    diagnosis = diagnose(solver)
    assert diagnosis.fit == 'poor'
    assert 0.15 < diagnosis.unexplained < 0.7


@pytest.mark.parametrize('change', [lambda p: p[::-1, [1, 0]], lambda p: p * (1, -1) + (0, 200)])
def test_positions_of_another_order_or_axis_are_among_the_advice(
    change: Callable[[Values], Values],
) -> None:
    scan = with_positions(known_scan(side=8, noise=True, photons=1e5).scan, change)
    config = InferenceConfig(refine_iterations=8, estimate_errors=False, auto=True)
    result = run_reconstruction(NumpyOps(), scan, config, Monitor(), backend='pytorch')
    assert '`ptychopinn check`' in result.warning


@pytest.mark.parametrize(('share', 'named'), [(0.2, False), (0.4, True), (0.65, True)])
def test_a_large_share_suggests_to_check_the_scan(share: float, named: bool) -> None:
    misfits = Misfits(1e4 * share, 0.0, 1e4, 0.0, 1e9, 1000)
    assert ('order and axes of the positions' in _advice('poor', misfits)) == named


@pytest.mark.parametrize(
    ('found', 'photons', 'fit'),
    [(1.2e4, 1e5, 'good'), (1.3e4, 1e5, 'poor'), (1.3e4, 1e7, 'good'), (5e4, 1e7, 'poor')],
)
def test_a_misfit_far_beyond_noise_is_poor_however_much_the_frames_differ(
    found: float, photons: float, fit: str
) -> None:
    misfits = Misfits(found, noise=1e4, empty=2e6, alike=1e4, photons=photons, pixels=40_000)
    assert misfits.unexplained < 0.05
    assert _fit(misfits) == fit


@pytest.mark.parametrize('late', [0, 16])
def test_frames_that_come_late_by_one_are_not_good(ops: Ops, late: int) -> None:
    scan = known_scan(side=10, noise=True, photons=1e6).scan
    counts = scan.counts.copy()
    counts[20 : 20 + late] = scan.counts[21 : 21 + late]
    diagnosis = diagnose(solver_of(ops, dataclasses.replace(scan, counts=counts), 12))
    assert diagnosis.unexplained < 0.15
    assert diagnosis.fit == ('poor' if late else 'good')
    assert ('of the amplitudes of the frames' in diagnosis.advice) == bool(late)


@pytest.mark.parametrize('photons', [1.0, 1e5])
def test_only_an_object_that_the_frames_determine_comes_without_a_warning(photons: float) -> None:
    scan = known_scan(side=6, noise=True, photons=photons).scan
    config = InferenceConfig(refine_iterations=6, estimate_errors=False)
    result = run_reconstruction(NumpyOps(), scan, config, Monitor(), backend='pytorch')
    assert ('they do not determine the object' in result.warning) == (photons == 1.0)
    assert bool(result.warning) == (photons == 1.0)


def test_a_wrong_probe_that_is_held_is_not_good() -> None:
    scan = HARD_SCANS['random probe']()
    assert diagnose(solver_of(NumpyOps(), scan, 8)).fit in ('poor', 'failed')


def test_a_dark_or_flat_object_is_a_failure() -> None:
    scan = known_scan(side=8, noise=True, photons=1e5).scan
    for change in (lambda image: image * _few(image), lambda image: np.ones_like(image)):
        solver = with_object(solver_of(NumpyOps(), scan, 8), change)
        diagnosis = diagnose(solver)
        assert diagnosis.fit == 'failed'
        assert 'dark or flat' in diagnosis.advice


def _few(image: Values) -> Values:
    """Return 1 at a few pixels in the middle and 0 elsewhere."""
    rows, columns = (np.abs(np.arange(side) - side // 2) < 3 for side in image.shape)
    return np.outer(rows, columns)


def test_a_probe_that_ran_to_the_edges_is_poor(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = known_scan(side=8, noise=True, photons=1e5).scan
    solver = solver_of(NumpyOps(), scan, 12)
    rng = np.random.default_rng(0)

    def spread(unknowns: Unknowns) -> Unknowns:
        probe = unknowns.probe
        noise = rng.normal(size=probe.shape) * np.linalg.norm(probe) / scan.frame_size
        return unknowns._replace(probe=(0.05 * probe + noise).astype(np.complex64))

    assert diagnose(solver).fit == 'good'
    monkeypatch.setattr(Misfits, 'unexplained', 0.1)
    solver.transform(spread)
    diagnosis = diagnose(solver)
    assert diagnosis.fit == 'poor'
    assert 'edges' in diagnosis.advice


def test_power_spread_evenly_has_its_share_at_the_edge() -> None:
    assert edge_share(np.ones((2, 32, 32), np.complex64)) == pytest.approx(1 - (28 / 32) ** 2)


def test_the_same_on_every_framework(other_ops: Ops) -> None:
    scan = with_probe(known_scan(side=6).scan, lambda probe: probe)
    wanted, found = (diagnose(solver_of(ops, scan, 3)) for ops in (NumpyOps(), other_ops))
    assert found.unexplained == pytest.approx(wanted.unexplained, rel=0.05, abs=1e-3)
    assert found.fit == wanted.fit


@pytest.mark.slow
@pytest.mark.parametrize('seed', [0, 1])
def test_noise_that_was_fitted_shows_in_photons_that_were_held_out(seed: int) -> None:
    """Of two strong stars of few photons one is reconstructed; both explain their own photons."""
    config = SimulationConfig(
        object_kind='siemens',
        rows=10,
        columns=10,
        photons_per_frame=1e3,
        phase_range_rad=5.5,
        seed=seed,
    )
    known = simulate(config)
    scan = dataclasses.replace(known.scan, object_guess=None)
    result = run_reconstruction(NumpyOps(), scan, InferenceConfig(), Monitor(), backend='pytorch')
    rows = columns = slice(40, 80)
    error = score(_at(result, rows, columns), known.ground_truth[rows, columns]).nrmse
    assert (error > 0.6) == ('held out, so that noise was fitted' in result.warning)
    # The other star is right in its coarse structure only, which a warning says too.
    assert ('photon noise leaves phase errors' in result.warning) == (seed == 0)


def _at(result: Reconstruction, rows: slice, columns: slice) -> Values:
    """Return a part of the object by its place in the ground truth."""
    top, left = result.origin_px
    image = result.object_canvas[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return np.asarray(image)
