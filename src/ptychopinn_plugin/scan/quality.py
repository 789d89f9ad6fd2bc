"""How good a reconstructed object is: its resolution and its errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]

# Above it, what the model leaves out is at least half as strong as photon noise.
MODEL_ERROR = 1.25


@dataclass(frozen=True, eq=False)
class Quality:
    """Resolution and errors of an object, from two reconstructions of half the photons each.

    Both halves have probe and positions of the whole reconstruction: errors of these, and of
    anything that the model leaves out, are common to both and not contained.

    Attributes:
        frequency: float64 (rings,), cycles an object pixel, ascending to Nyquist.
        ring_correlation: float64 (rings,), Fourier ring correlation of the two halves.
        half_bit: float64 (rings,), its threshold of half a bit of information.
        one_bit: float64 (rings,), its threshold of one bit.
        half_bit_limit: cycles an object pixel where it falls below half a bit; 0.5, Nyquist, where
            it never does.
        one_bit_limit: likewise for one bit.
        typical_phase_error: median of `phase_error` over the scanned area, radians.
        held_out: misfit of each half's object to the photons of the other half, relative to that
            of photon noise alone: 1 for a model that is right, with many photons.
        amplitude_error: float32 (H, W), standard deviation of the object's amplitude, NaN where
            no probe reached.
        phase_error: float32 (H, W), standard deviation of its phase, radians, likewise.
    """

    frequency: Floats
    ring_correlation: Floats
    half_bit: Floats
    one_bit: Floats
    half_bit_limit: float
    one_bit_limit: float
    typical_phase_error: float
    held_out: float
    amplitude_error: Map
    phase_error: Map

    @property
    def resolution_px(self) -> float:
        """Half a period at the half-bit limit, object pixels: 1 where Nyquist is reached."""
        return half_period(self.half_bit_limit)

    def summary(self, pixel_size_m: tuple[float, float] | None) -> str:
        """Say it in a sentence without capital and full stop.

        Args:
            pixel_size_m: (height, width) of an object pixel; None where it is not known.
        """
        size = self.resolution_px
        resolution = f'{size:.2g} px'
        if pixel_size_m is not None:
            resolution = f'{size * max(pixel_size_m) * 1e9:.3g} nm ({size:.2g} px)'
        said = (
            f'resolved to {resolution} (half period, half-bit criterion); phase error '
            f'{self.typical_phase_error:.2g} rad by photon noise; held-out photons fit to '
            f'{self.held_out:.2f} of photon noise'
        )
        if self.held_out > MODEL_ERROR:
            said += ': the model misses something, errors are larger than photon noise makes them'
        return said


def half_period(limit: float) -> float:
    """Return half the period of a spatial frequency.

    Args:
        limit: cycles a pixel.

    Returns:
        Pixels, infinite for a frequency of 0.
    """
    return 0.5 / limit if limit > 0 else math.inf
