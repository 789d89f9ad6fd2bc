"""Laws of a simulated scan."""

import numpy as np
import pytest

from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.simulation.simulated_scan import expected_counts
from tests import helpers

SMALL = SimulationConfig(rows=5, columns=4, seed=3)


def small(**changes: object) -> SimulationConfig:
    return SimulationConfig.model_validate(SMALL.model_dump() | changes)


def test_photons_of_the_config_are_the_mean_counts_behind_the_sample() -> None:
    for photons in (1e3, 1e5):
        counts = simulate(small(photons_per_frame=photons)).scan.counts
        expected_error = np.sqrt(photons / len(counts))
        assert abs(counts.sum(axis=(1, 2)).mean() - photons) < 5 * expected_error


def test_counts_are_whole_photons() -> None:
    counts = simulate(SMALL).scan.counts
    assert counts.min() == 0
    np.testing.assert_array_equal(counts, np.rint(counts))


def test_probe_carries_the_photons_through_empty_space() -> None:
    made = simulate(small(amplitude_contrast=0, photons_per_frame=1e6))
    # A sample that absorbs nothing lets every photon of the probe through, in every frame.
    photons = expected_counts(made.ground_truth, made.probe, made.scan.positions_px).sum(
        axis=(1, 2)
    )
    np.testing.assert_allclose(photons, np.sum(np.abs(made.probe) ** 2), rtol=1e-4)
    np.testing.assert_allclose(photons, 1e6, rtol=1e-4)


def test_an_absorbing_sample_needs_a_brighter_probe() -> None:
    made = simulate(small(amplitude_contrast=0.9))
    assert np.sum(np.abs(made.probe) ** 2) > 1.05e6


@pytest.mark.parametrize('modes', [1, 3])
def test_frames_agree_with_a_frame_by_frame_model(modes: int) -> None:
    made = simulate(small(probe_modes=modes, scan_pattern='spiral', rows=9, columns=8))
    ours = expected_counts(made.ground_truth, made.probe, made.scan.positions_px)
    plain = helpers.expected_counts(made.ground_truth, made.probe, made.scan.positions_px)
    np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-6 * plain.max())


def test_noise_is_that_of_photons() -> None:
    made = simulate(small(photons_per_frame=1e6))
    expected = expected_counts(made.ground_truth, made.probe, made.scan.positions_px).astype(
        np.float64
    )
    bright = expected > 5
    deviation = (made.scan.counts[bright] - expected[bright]) ** 2 / expected[bright]
    assert abs(deviation.mean() - 1) < 0.05


def test_modes_add_incoherently() -> None:
    made = simulate(small(probe_modes=3))
    positions = made.scan.positions_px
    modes = [expected_counts(made.ground_truth, mode[None], positions) for mode in made.probe]
    together = expected_counts(made.ground_truth, made.probe, positions)
    np.testing.assert_allclose(np.sum(modes, axis=0), together, rtol=1e-4, atol=1e-3)


def test_a_fraction_of_a_pixel_moves_the_probe_over_the_sample() -> None:
    # With a sample that varies slowly on the scale of a pixel, moving the probe by a fraction
    # equals moving the sample the other way; both band-limited, so Fourier shifts are exact.
    made = simulate(small(object_kind='grf', rows=2, columns=2, scan_pattern='raster'))
    y, x = (np.fft.fftfreq(length) for length in made.ground_truth.shape)
    keep = (np.abs(y)[:, None] < 0.2) & (np.abs(x)[None, :] < 0.2)
    spectrum = np.fft.fft2(made.ground_truth.astype(np.complex128)) * keep
    ramp = np.exp(2j * np.pi * (y[:, None] * 0.3 - x[None, :] * 0.4))
    still = np.fft.ifft2(spectrum).astype(np.complex64)
    moved = np.fft.ifft2(spectrum * ramp).astype(np.complex64)
    whole = np.rint(made.scan.positions_px)
    ours = expected_counts(still, made.probe, whole + np.array([0.3, -0.4]))
    theirs = expected_counts(moved, made.probe, whole)
    wrong = expected_counts(still, made.probe, whole)
    scale = np.linalg.norm(theirs)
    assert np.linalg.norm(ours - theirs) / scale < 2e-3
    assert np.linalg.norm(wrong - theirs) / scale > 1e-2


def test_the_same_seed_gives_the_same_scan() -> None:
    first, second = simulate(SMALL), simulate(SMALL)
    np.testing.assert_array_equal(first.scan.counts, second.scan.counts)
    np.testing.assert_array_equal(first.scan.positions_px, second.scan.positions_px)
    np.testing.assert_array_equal(first.ground_truth, second.ground_truth)


def test_another_seed_changes_sample_positions_and_noise() -> None:
    first, second = simulate(SMALL), simulate(small(seed=4))
    assert not np.array_equal(first.ground_truth, second.ground_truth)
    assert not np.array_equal(first.scan.positions_px, second.scan.positions_px)
    assert not np.array_equal(first.scan.counts, second.scan.counts)


def test_another_dose_keeps_sample_and_positions() -> None:
    bright, dim = simulate(SMALL), simulate(small(photons_per_frame=1e3))
    np.testing.assert_array_equal(bright.ground_truth, dim.ground_truth)
    np.testing.assert_array_equal(bright.scan.positions_px, dim.scan.positions_px)
    np.testing.assert_allclose(bright.probe, dim.probe * np.sqrt(1e3), rtol=1e-5)


def test_bad_pixels_are_flagged_dead_or_hot_and_nothing_else_changes() -> None:
    good, bad = simulate(SMALL).scan, simulate(small(bad_pixels=7)).scan
    assert bad.mask.sum() == 7
    assert not good.mask.any()
    np.testing.assert_array_equal(good.counts[:, ~bad.mask], bad.counts[:, ~bad.mask])
    spoilt = bad.counts[:, bad.mask]
    dead, hot = (spoilt == 0).all(axis=0), (spoilt > good.counts.max()).all(axis=0)
    assert (dead.sum(), hot.sum()) == (4, 3)


def test_the_true_probe_is_handed_out_unless_an_error_is_asked_for() -> None:
    made = simulate(small(probe_variation=0.3))
    np.testing.assert_array_equal(made.scan.probe, made.probe)


def test_wrong_starting_probe_is_handed_out_beside_the_true_one() -> None:
    made, right = simulate(small(probe_guess_error=1.0)), simulate(SMALL)
    np.testing.assert_array_equal(made.scan.counts, right.scan.counts)
    overlap = np.abs(np.vdot(made.scan.probe, made.probe)) / np.sum(np.abs(made.probe) ** 2)
    assert 0.3 < overlap < 0.95


@pytest.mark.parametrize('frame_size', [64, 128, 256])
def test_every_frame_size(frame_size: int) -> None:
    scan = simulate(small(frame_size=frame_size, rows=2, columns=2)).scan
    assert scan.counts.shape == (4, frame_size, frame_size)
    row, column = np.unravel_index(int(scan.counts.sum(axis=0).argmax()), (frame_size, frame_size))
    # The annulus of the pupil surrounds the zero frequency at N//2.
    assert np.hypot(row - frame_size // 2, column - frame_size // 2) < 0.13 * frame_size


def test_pixel_size_follows_from_the_geometry() -> None:
    config = SimulationConfig(photon_energy_ev=12398.41984, detector_distance_m=1.92)
    assert config.pixel_size_m == pytest.approx(1e-10 * 1.92 / (64 * 75e-6), rel=1e-9)
    fine = config.model_copy(update={'frame_size': 128})
    assert fine.pixel_size_m == pytest.approx(config.pixel_size_m / 2)
