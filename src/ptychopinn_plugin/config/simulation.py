"""Settings of a simulated scan."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ptychopinn_plugin.config.base import Config, setting
from ptychopinn_plugin.config.constants import EV_METRE

ObjectKind: TypeAlias = Literal['mixed', 'lines', 'grf', 'siemens', 'cells', 'polygons']
ScanPattern: TypeAlias = Literal['raster', 'jittered', 'spiral']


class SimulationConfig(Config):
    """A simulated scan; the same config gives the same scan."""

    frame_size: Literal[64, 128, 256] = setting(64, 'Side of a diffraction pattern', unit='px')
    object_kind: ObjectKind = setting(
        'mixed',
        'Sample: lines, grf (Gaussian random fields), siemens (a star), cells, polygons, or '
        'mixed (a random blend of them)',
    )
    scan_pattern: ScanPattern = setting(
        'jittered', 'Positions: raster, jittered (a raster with random offsets) or spiral'
    )
    rows: int = setting(16, 'Scan rows; a spiral has rows times columns frames', ge=2, le=1000)
    columns: int = setting(16, 'Scan columns', ge=2, le=1000)
    step_px: float = setting(
        6.0, 'Distance of neighbouring positions in object pixels', unit='px', gt=0, le=512
    )
    jitter_px: float = setting(
        1.5,
        'Largest random offset along each axis, for jittered positions',
        unit='px',
        ge=0,
        le=256,
    )
    photons_per_frame: float = setting(
        1e6,
        'Expected photons a frame behind the sample, mean over the scan',
        unit='photons',
        gt=0,
        le=1e12,
    )
    probe_modes: int = setting(1, 'Mutually incoherent probe modes', ge=1, le=8)
    bad_pixels: int = setting(
        0, 'Bad detector pixels, dead and hot in turns, flagged in the mask', ge=0, le=1024
    )
    seed: int = setting(0, 'Seed of sample, positions, probe and photon noise', ge=0, le=2**31 - 1)
    amplitude_contrast: float = setting(
        0.45, 'How far the amplitude of the sample goes below 1', ge=0, le=1, advanced=True
    )
    phase_range_rad: float = setting(
        1.6, 'Range of the phase of the sample', unit='rad', ge=0, le=6.2, advanced=True
    )
    probe_variation: float = setting(
        0.0,
        'Random relative change of aperture, defocus and aberrations of the probe',
        ge=0,
        le=0.5,
        advanced=True,
    )
    probe_guess_error: float = setting(
        0.0,
        'Relative error of the defocus in the probe that is handed out',
        ge=-5,
        le=5,
        advanced=True,
    )
    photon_energy_ev: float = setting(
        8000.0, 'Photon energy', unit='eV', gt=0, le=1e6, advanced=True
    )
    detector_distance_m: float = setting(
        2.0, 'Distance from sample to detector', unit='m', gt=0, le=1000, advanced=True
    )
    detector_pixel_m: float = setting(
        75e-6, 'Side of a detector pixel', unit='m', gt=0, le=0.01, advanced=True
    )

    @property
    def pixel_size_m(self) -> float:
        """Side of an object pixel, wavelength x distance / (N x detector pixel), metres."""
        wavelength_m = EV_METRE / self.photon_energy_ev
        return wavelength_m * self.detector_distance_m / (self.frame_size * self.detector_pixel_m)
