"""Fourier ring correlation of two images of the same object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex64] | npt.NDArray[np.complex128]
# Cycles a pixel.
NYQUIST = 0.5
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class RingCorrelation:
    """How alike the Fourier components of two images are, by spatial frequency.

    The thresholds are those of van Heel and Schatz (J. Struct. Biol. 151, 250, 2005,
    doi:10.1016/j.jsb.2005.05.009) for images made from one half of the data each.

    Attributes:
        frequency: float64 (rings,), cycles a pixel, ascending from one ring above 0 to Nyquist.
        correlation: float64 (rings,), 1 where both images are the same.
        components: float64 (rings,), number of Fourier components.
    """

    frequency: Floats
    correlation: Floats
    components: Floats

    @property
    def half_bit(self) -> Floats:
        """The correlation where both images together hold half a bit a component, (rings,)."""
        return _information_threshold(self.components, math.sqrt(2) - 1)

    @property
    def one_bit(self) -> Floats:
        """The correlation where both images together hold one bit a component, (rings,)."""
        return _information_threshold(self.components, 1.0)

    def crossing(self, threshold: Floats | float) -> float | None:
        """Return the frequency where the correlation first falls below a threshold.

        Args:
            threshold: float64 (rings,), or one value for all.

        Returns:
            Cycles a pixel, interpolated between rings; None where it stays above up to Nyquist.
        """
        excess = self.correlation - threshold
        below = np.flatnonzero(excess < 0)
        if not below.size:
            return None
        ring = int(below[0])
        if ring == 0:
            return float(self.frequency[0])
        share = float(excess[ring - 1] / (excess[ring - 1] - excess[ring]))
        before, after = self.frequency[ring - 1 : ring + 1]
        return float(before + share * (after - before))


def ring_correlation(first: Complex, second: Complex, window: Floats) -> RingCorrelation:
    """Correlate two images ring by ring of the Fourier plane.

    Args:
        first: complex (H, W).
        second: complex (H, W), on the same pixels, with the same scale and phase ramp.
        window: float64 (H, W), falls to 0 at the edges.
    """
    one, other = windowed_spectrum(first, window), windowed_spectrum(second, window)
    rings = Rings.for_shape(first.shape)
    power = rings.mean(np.abs(one) ** 2) * rings.mean(np.abs(other) ** 2)
    correlation = rings.mean((one * other.conj()).real) / np.sqrt(np.maximum(power, TINY))
    return RingCorrelation(rings.frequency, correlation, rings.components)


def hann_window(shape: tuple[int, ...]) -> Floats:
    """Return a window that falls to 0 at the edges, float64 (H, W)."""
    return np.outer(np.hanning(shape[0]), np.hanning(shape[1]))


def windowed_spectrum(image: Complex | Floats, window: Floats) -> npt.NDArray[np.complex128]:
    """Return the Fourier transform of an image, its mean taken off, under a window, (H, W).

    Scaled so that the mean of its squared modulus is the variance of a pixel.
    """
    mean = np.sum(image * window) / np.sum(window)
    scale = math.sqrt(float(np.sum(window**2)))
    return np.asarray(np.fft.fft2((image - mean) * window) / scale, dtype=np.complex128)


@dataclass(frozen=True, eq=False)
class Rings:
    """The rings of a Fourier plane, each as wide as one period over the smaller side.

    Attributes:
        index: int64 (H * W,), the ring of each component; 0 is the zero frequency.
        frequency: float64 (rings,), cycles a pixel, of the rings from 1 to Nyquist.
    """

    index: npt.NDArray[np.int64]
    frequency: Floats

    @classmethod
    def for_shape(cls, shape: tuple[int, ...]) -> Rings:
        """Return the rings of an image (H, W)."""
        side = min(shape)
        rows, columns = (np.fft.fftfreq(length) for length in shape)
        radius = np.hypot(rows[:, None], columns)
        index = np.rint(radius * side).astype(np.int64).ravel()
        return cls(index, np.arange(1, int(NYQUIST * side) + 1) / side)

    @property
    def components(self) -> Floats:
        """The number of components of each ring, (rings,)."""
        return np.bincount(self.index)[1 : len(self.frequency) + 1].astype(np.float64)

    def mean(self, values: Floats) -> Floats:
        """Return the mean of values (H, W) over each ring, (rings,)."""
        sums = np.bincount(self.index, values.ravel())[1 : len(self.frequency) + 1]
        return np.asarray(sums / self.components)


def _information_threshold(components: Floats, ratio: float) -> Floats:
    """Return the correlation of two half data sets at a signal-to-noise ratio of both together.

    Args:
        components: of each ring.
        ratio: of the powers of signal and noise of the whole data: sqrt(2) - 1 for half a bit of
            information, log2(1 + ratio), a component, 1 for one bit.
    """
    half = ratio / 2
    noise = 1 / np.sqrt(components)
    # Of a ring of few components, the products of signal and noise do not cancel.
    crossed = 2 * math.sqrt(half) * noise
    return np.asarray((half + crossed + noise) / (1 + half + crossed))
