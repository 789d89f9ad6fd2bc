"""Laws of the Fourier ring correlation."""

import numpy as np
import pytest

from ptychopinn_plugin.physics.ring_correlation import (
    RingCorrelation,
    Rings,
    ring_correlation,
    windowed_spectrum,
)


def noise(shape: tuple[int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray((rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2))


def hann(shape: tuple[int, int]) -> np.ndarray:
    return np.outer(np.hanning(shape[0]), np.hanning(shape[1]))


def test_equal_images_correlate_fully_and_other_noise_does_not() -> None:
    shape = (96, 80)
    image = noise(shape, 0)
    same = ring_correlation(image, 3 * image, hann(shape))
    np.testing.assert_allclose(same.correlation, 1)
    other = ring_correlation(image, noise(shape, 1), hann(shape))
    assert abs(np.average(other.correlation, weights=other.components)) < 0.05
    assert same.frequency[0] == 1 / 80
    assert same.frequency[-1] == 0.5


def test_it_falls_where_noise_exceeds_the_signal() -> None:
    shape = (128, 128)
    radius = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128))
    signal = np.fft.ifft2(np.fft.fft2(10 * noise(shape, 0)) * (radius < 0.2))
    found = ring_correlation(signal + noise(shape, 1), signal + noise(shape, 2), hann(shape))
    limit = found.crossing(found.half_bit)
    assert limit == pytest.approx(0.2, abs=0.02)
    assert found.crossing(found.one_bit) <= limit  # type: ignore[operator]


def test_a_crossing_lies_between_rings_or_nowhere() -> None:
    frequency = np.array([0.1, 0.2, 0.3])
    curve = RingCorrelation(frequency, np.array([0.9, 0.7, 0.3]), np.full(3, 100.0))
    assert curve.crossing(0.5) == pytest.approx(0.25)
    assert curve.crossing(0.95) == 0.1
    assert curve.crossing(0.2) is None


@pytest.mark.parametrize('components', [8.0, 50.0, 4000.0])
def test_thresholds_are_the_published_ones(components: float) -> None:
    curve = RingCorrelation(np.ones(1), np.ones(1), np.array([components]))
    root = np.sqrt(components)
    half_bit = (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
    one_bit = (0.5 + 2.4142 / root) / (1.5 + 1.4142 / root)
    assert curve.half_bit[0] == pytest.approx(half_bit, rel=1e-3)
    assert curve.one_bit[0] == pytest.approx(one_bit, rel=1e-3)


def test_a_windowed_spectrum_has_the_power_of_a_pixel() -> None:
    shape = (120, 100)
    power = np.abs(windowed_spectrum(2 * noise(shape, 3) + 5, hann(shape))) ** 2
    assert np.mean(power) == pytest.approx(4, rel=0.05)
    rings = Rings.for_shape(shape)
    assert np.average(rings.mean(power), weights=rings.components) == pytest.approx(4, rel=0.05)
