"""How good a reconstructed object is: its resolution and its errors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]

# Above it, what the model leaves out is at least half as strong as photon noise.
MODEL_ERROR = 1.25
RINGS = ('ring_correlation', 'half_bit', 'one_bit')
MAPS = ('amplitude_error', 'phase_error')


@dataclass(frozen=True, eq=False)
class Quality:
    """Resolution and errors of an object, from two reconstructions of half the photons each.

    Both halves have probe and positions of the whole reconstruction: errors of these, and of
    anything that the model leaves out, are common to both and not contained.

    Attributes:
        ring_frequency: float64 (rings,), cycles an object pixel, ascending to Nyquist.
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
        held_out_unexplained: share of the differences between the frames, beyond photon noise, that
            the object of each half leaves in the photons of the other half; not above 0 where noise
            gives it by chance, NaN where it is not known.
    """

    ring_frequency: Floats
    ring_correlation: Floats
    half_bit: Floats
    one_bit: Floats
    half_bit_limit: float
    one_bit_limit: float
    typical_phase_error: float
    held_out: float
    amplitude_error: Map
    phase_error: Map
    held_out_unexplained: float = math.nan

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all values as arrays, by name; numbers have no axis."""
        return {
            field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Quality:
        """Return the quality that `arrays` gave; see `quality_faults`."""
        fields: dict[str, Any] = {
            field.name: _value(arrays[field.name])
            for field in dataclasses.fields(cls)
            if field.name in arrays
        }
        return cls(**fields)

    def masked(self, covered: npt.NDArray[np.bool_], factor: float) -> Quality:
        """Return the quality of an object that is multiplied by a factor and partly left out.

        Args:
            covered: bool (H, W), False where there is no object.
            factor: of the object.
        """
        amplitude = np.where(covered, self.amplitude_error * np.float32(factor), np.nan)
        phase = np.where(covered, self.phase_error, np.nan)
        return dataclasses.replace(
            self,
            amplitude_error=amplitude.astype(np.float32),
            phase_error=phase.astype(np.float32),
        )

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
            said += (
                ', so the model leaves differences that are no noise: errors are larger than stated'
            )
        return said


def half_period(limit: float) -> float:
    """Return half the period of a spatial frequency.

    Args:
        limit: cycles a pixel.

    Returns:
        Pixels, infinite for a frequency of 0.
    """
    return 0.5 / limit if limit > 0 else math.inf


def quality_faults(arrays: Mapping[str, npt.NDArray[Any]], canvas: tuple[int, ...]) -> list[str]:
    """Return what keeps arrays from being the quality of an object, one sentence each.

    Args:
        arrays: by name.
        canvas: (H, W) of the object.
    """
    missing = [
        field.name
        for field in dataclasses.fields(Quality)
        if field.name not in arrays and field.default is dataclasses.MISSING
    ]
    if missing:
        return [f'it has no {", ".join(map(repr, missing))}']
    needed = dict.fromkeys(RINGS, arrays['ring_frequency'].shape) | dict.fromkeys(MAPS, canvas)
    return [
        f'{name!r} must have the shape {shape}, it has {arrays[name].shape}'
        for name, shape in needed.items()
        if arrays[name].shape != shape
    ]


def _value(array: npt.NDArray[Any]) -> object:
    """Return an array, or the number of one without axes."""
    return array if array.ndim else float(array)
