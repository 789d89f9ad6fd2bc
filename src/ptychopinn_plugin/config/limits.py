"""Settings of what object and probe must be."""

import math
from typing import Self

from pydantic import model_validator

from ptychopinn_plugin.config.base import Config, setting


class ConstraintConfig(Config):
    """Constraints and regularisers of object and probe; none by default."""

    probe_support: float = setting(
        0.0,
        'Radius of the disc outside of which a refined probe is 0, as a share of the frame; 0 for '
        'no disc',
        ge=0,
        le=1,
        advanced=True,
        label='Radius of the probe support',
        zero='none',
    )
    probe_fourier_support: float = setting(
        0.0,
        'Radius of the disc at the detector outside of which a refined probe is 0, as a share of '
        'the frame; 0 for no disc',
        ge=0,
        le=1,
        advanced=True,
        label='Radius of the probe support at the detector',
        zero='none',
    )
    probe_power: float = setting(
        0.0,
        'Photons a frame of a refined probe; the object is scaled inversely. 0 for those of the '
        'given probe',
        ge=0,
        le=1e15,
        unit='photons',
        advanced=True,
        label='Probe power',
        zero='as given',
    )
    center_probe: bool = setting(
        False,
        "Keep the centre of a refined probe's intensity in the middle of its frame, to a pixel",
        advanced=True,
        label='Centre the probe',
    )
    object_amplitude_min: float = setting(
        0.0,
        'Least amplitude of the object',
        ge=0,
        le=100,
        advanced=True,
        label='Least amplitude',
    )
    object_amplitude_max: float = setting(
        0.0,
        'Largest amplitude of the object, such as 1; 0 for no limit',
        ge=0,
        le=100,
        advanced=True,
        label='Largest amplitude',
        zero='none',
    )
    object_phase_min: float = setting(
        0.0,
        'Least phase of the object, where it differs from the largest one',
        ge=-math.pi,
        le=math.pi,
        unit='rad',
        advanced=True,
        label='Least phase',
    )
    object_phase_max: float = setting(
        0.0,
        'Largest phase of the object, at most pi above the least; both 0 for no limits',
        ge=-math.pi,
        le=math.pi,
        unit='rad',
        advanced=True,
        label='Largest phase',
    )
    object_smoothness: float = setting(
        0.0,
        'Weight of the mean of the eight neighbours in each update of an object pixel, 0 for none',
        ge=0,
        le=1,
        advanced=True,
        label='Smoothness',
        zero='none',
    )
    total_variation: float = setting(
        0.0,
        "Weight of the object's total variation, 0 for none; 0.001 to 0.02 smooth more and more",
        ge=0,
        le=1,
        advanced=True,
        label='Total-variation weight',
        zero='none',
    )
    remove_grid_artifacts: bool = setting(
        False,
        "Remove the spatial frequencies of the scan's raster from the object, its own ones too: a "
        'last resort',
        advanced=True,
        label='Remove grid artifacts',
    )

    @model_validator(mode='after')
    def _check_limits(self) -> Self:
        """Refuse limits that no object meets."""
        low, high = self.object_amplitude_min, self.object_amplitude_max
        if high and low > high:
            raise ValueError(
                f'object_amplitude_min is {low:g}, above object_amplitude_max, {high:g}; lower it'
            )
        least, largest = self.object_phase_min, self.object_phase_max
        # Written with a few digits, pi may be a little more than it is.
        if not 0 <= largest - least <= math.pi + 1e-3:
            raise ValueError(
                f'object_phase_max must be 0 to pi above object_phase_min, got {least:g} to '
                f'{largest:g} rad'
            )
        return self
