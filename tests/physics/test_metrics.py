"""A score must not see what ptychography cannot know, and must see the rest."""

import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from ptychopinn_plugin.metrics import ring_correlation_limit, score
from ptychopinn_plugin.physics.ambiguities import aligned, phase_ramp, without_ramp
from ptychopinn_plugin.scan.canvas import scanned_core
from tests.helpers import make_object


def test_scale_and_ramp_change_nothing() -> None:
    truth = make_object((90, 80), seed=3)
    other = truth * (0.3 - 2j) * phase_ramp(truth, (0.21, -0.4))
    found = score(other.astype(np.complex64), truth)
    assert found.nrmse < 1e-5
    assert found.phase_ssim > 0.99999
    assert found.amplitude_ssim > 0.99999
    assert found.frc_half == 1.0


@pytest.mark.parametrize('shift', [(3.0, -2.0), (0.5, 1.25)])
def test_a_shift_is_found_and_undone(shift: tuple[float, float]) -> None:
    wide = make_object((120, 110), seed=4)
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(wide), shift))
    inner = np.s_[15:-15, 15:-15]
    found = score(moved[inner] * phase_ramp(wide, (0.1, 0.3))[inner], wide[inner])
    assert found.shift_px == pytest.approx((-shift[0], -shift[1]), abs=0.1)
    assert found.nrmse < 0.03
    assert found.phase_ssim > 0.97


@pytest.mark.parametrize('shift', [(0.31, -0.12), (-1.4, 0.75)])
def test_registration_is_that_of_least_error(shift: tuple[float, float]) -> None:
    # A smooth error and noise move the maximum of the cross-correlation, not the least error.
    wide = make_object((150, 140), seed=7)
    rows, columns = np.indices(wide.shape)
    spoilt = wide * (1 + 0.2 * np.sin(rows / 40) + 0.15j * np.cos(columns / 30))
    spoilt = spoilt + 0.005 * np.random.default_rng(1).normal(size=wide.shape)
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(spoilt), shift))
    inner = np.s_[20:-20, 20:-20]
    found = score(moved[inner] * phase_ramp(wide, (0.02, -0.05))[inner], wide[inner])
    least = score(spoilt[inner], wide[inner])
    # The error itself is least at a shift of its own.
    apart = np.subtract(found.shift_px, least.shift_px)
    assert apart == pytest.approx((-shift[0], -shift[1]), abs=0.03)
    assert found.nrmse == pytest.approx(least.nrmse, rel=0.03)
    assert least.nrmse < np.linalg.norm(aligned(spoilt, wide) - wide) / np.linalg.norm(wide)


def test_nrmse_is_the_relative_noise() -> None:
    rng = np.random.default_rng(0)
    truth = make_object((128, 128), seed=5)
    noise = rng.normal(size=(2, 128, 128))
    noise *= 0.05 * np.linalg.norm(truth) / np.linalg.norm(noise)
    found = score(truth + noise[0] + 1j * noise[1], truth)
    assert found.nrmse == pytest.approx(0.05, rel=0.05)
    assert score(truth + 3 * (noise[0] + 1j * noise[1]), truth).phase_ssim < found.phase_ssim


@pytest.mark.parametrize(
    'spoil',
    [np.conj, lambda image: image.T, lambda image: image[::-1], lambda image: abs(image) + 0j],
    ids=['conjugate', 'transpose', 'flip', 'amplitude only'],
)
def test_a_wrong_object_scores_badly(spoil) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    truth = make_object((96, 96), seed=6)
    found = score(spoil(truth), truth)
    assert found.nrmse > 0.2
    assert found.phase_ssim < 0.6


def test_lost_fine_detail_lowers_the_ring_correlation() -> None:
    rng = np.random.default_rng(0)
    truth = (1 + 0.3 * rng.normal(size=(128, 128))) * np.exp(0.5j * rng.normal(size=(128, 128)))
    frequency = np.fft.fftfreq(128)
    low = np.hypot(frequency[:, None], frequency) < 0.25
    noise = np.fft.fft2(rng.normal(size=(128, 128))) * ~low * 5
    blurred = np.fft.ifft2(np.fft.fft2(truth) * low + noise)
    assert ring_correlation_limit(blurred, truth) == pytest.approx(0.5, abs=0.05)


def test_unequal_shapes_and_missing_pixels_are_refused() -> None:
    truth = make_object((40, 40))
    with pytest.raises(ValueError, match='40, 39'):
        score(truth[:, 1:], truth)
    holed = truth.copy()
    holed[3, 4] = np.nan
    with pytest.raises(ValueError, match='covered region'):
        score(holed, truth)


def test_the_core_lies_between_the_positions() -> None:
    positions = np.array([[10.5, 20.0], [30.0, 45.9]])
    assert scanned_core(positions) == (slice(11, 31), slice(20, 46))
    assert scanned_core(positions, origin_px=(-2, 5), margin=1) == (slice(14, 32), slice(16, 40))


def test_flattening_levels_what_is_flat_and_leaves_a_slope_of_its_own() -> None:
    phase = np.zeros((40, 50))
    phase[10:30, 10:20] = np.linspace(0, 2, 10)
    image = np.exp(1j * phase) * phase_ramp(phase.astype(complex), (0.05, -0.1))
    background = without_ramp(image)[:, 25:]
    np.testing.assert_allclose(np.angle(background), np.angle(background[0, 0]), atol=1e-9)


def test_alignment_and_flattening_leave_the_structure() -> None:
    truth = make_object((60, 70), seed=8)
    tilted = truth * phase_ramp(truth, (2.0, -1.5)) * 1j
    np.testing.assert_allclose(aligned(tilted, truth), truth, atol=1e-5)
    np.testing.assert_allclose(without_ramp(tilted), without_ramp(truth), atol=1e-5)
    tilted[:5] = np.nan
    np.testing.assert_allclose(without_ramp(tilted)[5:], without_ramp(truth[5:]), atol=1e-5)
