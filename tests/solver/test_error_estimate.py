"""Resolution and errors are those that the ground truth shows."""

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.ambiguities import aligned
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.physics.ring_correlation import RingCorrelation, Rings
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.solver.error_estimate import estimate_quality, noise_transfer
from ptychopinn_plugin.solver.half_scans import reconstruct_halves, thinned
from tests.frameworks import ops_of
from tests.helpers import KnownScan, make_known_scan
from tests.solver.scans import object_of, prepared


def scan_of(photons: float, side: int = 10, seed: int = 0) -> KnownScan:
    return make_known_scan(side=side, step_px=4.0, photons=photons, seed=seed)


def test_halves_of_counts_are_independent_poisson_counts() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(6.0, (40, 16, 16)).astype(np.float32)
    counts[0, 0, 0] = np.nan
    first, second = thinned(counts, 1)
    assert first[0, 0, 0] == second[0, 0, 0] == 0
    np.testing.assert_allclose((first + second).ravel()[1:], counts.ravel()[1:], atol=1e-5)
    np.testing.assert_allclose(first.ravel()[1:], np.rint(first.ravel()[1:]), atol=1e-5)
    assert first.mean() == pytest.approx(3, rel=0.05)
    assert first.var() == pytest.approx(3, rel=0.05)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03


def test_counts_that_are_not_whole_keep_their_sum() -> None:
    counts = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32) * 2
    first, second = thinned(counts, 0)
    np.testing.assert_allclose(first + second, counts, atol=1e-6)
    assert min(first.min(), second.min()) >= 0


def coverage(known: KnownScan, ops: Ops, **settings: object) -> tuple[float, float]:
    """Return the shares of amplitudes and phases within a standard deviation of the truth."""
    solver = prepared(ops, known.scan, 24, update_probe=False, **settings)
    solver.finish()
    quality = estimate_quality(solver)
    assert quality is not None
    core = scanned_core(known.scan.positions_px, margin=2)
    truth = known.ground_truth[core]
    inner = scanned_core(known.scan.positions_px, solver.problem.canvas.origin_px, margin=2)
    error = (aligned(object_of(solver)[inner], truth) - truth) * np.conj(truth) / np.abs(truth)
    return (
        float(np.mean(np.abs(error.real) < quality.amplitude_error[inner])),
        float(np.mean(np.abs(error.imag / np.abs(truth)) < quality.phase_error[inner])),
    )


@pytest.mark.parametrize('photons', [1e4, 1e6])
def test_two_thirds_of_the_pixels_lie_within_one_standard_deviation(photons: float) -> None:
    # A scan of a hundred frames has few independent pixels: the mean over four is compared.
    found = [coverage(scan_of(photons, seed=seed), ops_of('numpy')) for seed in range(4)]
    np.testing.assert_allclose(np.mean(found, axis=0), 0.683, atol=0.08)


def test_every_framework_estimates_the_same(other_ops: Ops) -> None:
    known = scan_of(1e4, side=8)
    expected = estimate_quality(prepared(ops_of('numpy'), known.scan, 6))
    found = estimate_quality(prepared(other_ops, known.scan, 6))
    assert expected is not None
    assert found is not None
    np.testing.assert_allclose(found.ring_correlation, expected.ring_correlation, atol=2e-3)
    np.testing.assert_allclose(found.phase_error, expected.phase_error, rtol=2e-2)
    assert found.held_out == pytest.approx(expected.held_out, rel=1e-3)


def test_more_photons_resolve_more_and_held_out_photons_show_a_wrong_model() -> None:
    ops = ops_of('numpy')
    faint, bright = (
        estimate_quality(prepared(ops, scan_of(photons).scan, 12)) for photons in (1e3, 1e5)
    )
    assert faint is not None
    assert bright is not None
    assert faint.resolution_px > 1.2 * bright.resolution_px
    assert faint.typical_phase_error > 3 * bright.typical_phase_error
    assert bright.held_out < 1.1
    known = scan_of(1e5)
    moved = known.scan.positions_px + np.random.default_rng(0).normal(0, 0.7, (100, 2))
    wrong = dataclasses.replace(known.scan, positions_px=moved)
    quality = estimate_quality(prepared(ops, wrong, 12))
    assert quality is not None
    assert quality.held_out > 1.3
    assert quality.held_out_unexplained > 0.04 > abs(bright.held_out_unexplained)
    assert 'errors are larger than stated' in quality.summary(None)


def test_noise_of_a_known_level_is_found() -> None:
    rng = np.random.default_rng(0)
    shape, dose = (90, 100), np.linspace(400.0, 1600.0, 9000).reshape(90, 100)

    def noisy(strength: float) -> np.ndarray:
        draws = rng.normal(size=(2, *shape))
        return np.asarray((draws[0] + 1j * draws[1]) * np.sqrt(strength / 2 / dose))

    image = (1 + noisy(3.0)).astype(np.complex64)
    curve = RingCorrelation(
        Rings.for_shape(shape).frequency, np.ones(45), Rings.for_shape(shape).components
    )
    # Halves of the photons have twice the variance each.
    found = noise_transfer(image, dose, noisy(6.0) - noisy(6.0), curve)
    assert found.noise == pytest.approx(3, rel=0.1)
    assert found.lost == pytest.approx(0, abs=1e-6)


def test_halves_of_a_large_scan_are_taken_from_its_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = scan_of(1e4, side=12)
    monkeypatch.setattr('ptychopinn_plugin.solver.half_scans.MOST_FRAMES', 64)
    solver = prepared(ops_of('numpy'), known.scan, 3)
    halves = reconstruct_halves(solver, object_of(solver))
    assert halves is not None
    whole = scanned_core(known.scan.positions_px, solver.problem.canvas.origin_px)
    for part, all_of_it in zip(halves.area, whole, strict=True):
        assert all_of_it.start + 4 <= part.start < part.stop <= all_of_it.stop - 4


def test_a_small_scan_has_no_estimate() -> None:
    assert estimate_quality(prepared(ops_of('numpy'), scan_of(1e4, side=3).scan, 2)) is None


def test_results_carry_it_unless_it_is_switched_off_or_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan, ops = scan_of(1e4, side=8).scan, ops_of('numpy')

    def run(**settings: bool) -> Reconstruction:
        config = InferenceConfig(refine_iterations=3, update_probe='off', **settings)
        return run_reconstruction(ops, scan, config, Monitor(), backend='pytorch')

    found = run()
    assert found.quality is not None
    np.testing.assert_array_equal(
        np.isfinite(found.quality.phase_error), np.isfinite(found.object_canvas)
    )
    assert any('held-out photons' in remark for remark in found.remarks)
    assert run(estimate_errors=False).quality is None

    def stopped(*_: object) -> None:
        raise Cancelled('stopped on request')

    monkeypatch.setattr('ptychopinn_plugin.networks.runner.estimate_quality', stopped)
    kept = run()
    assert kept.quality is None
    np.testing.assert_array_equal(kept.object_canvas, found.object_canvas)
