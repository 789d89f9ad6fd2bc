"""The size of an object pixel from what files and the user say of an instrument."""

from __future__ import annotations

from dataclasses import dataclass

from ptychodus.api.constants import ELECTRON_VOLT_J
from ptychodus.api.diffraction import DiffractionMetadata

from ptychopinn_plugin.config.constants import EV_METRE
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import InstrumentOptions

# Photons of ultraviolet light and of gamma rays, electronvolts.
LEAST_ENERGY_EV, MOST_ENERGY_EV = 1.0, 1e7


@dataclass(frozen=True)
class Geometry:
    """Geometry of an instrument.

    Attributes:
        pixel_size_m: (height, width) of an object pixel.
        photon_energy_ev: None where it is not known.
        detector_distance_m: None where it is not known.
    """

    pixel_size_m: tuple[float, float]
    photon_energy_ev: float | None
    detector_distance_m: float | None


def find_geometry(
    given: InstrumentOptions,
    of_frames: DiffractionMetadata,
    of_product: object,
    frame_size: int,
    decisions: list[str],
) -> Geometry:
    """Return the geometry, from the user, else from the product, else from the frames' file.

    In the far field an object pixel is wavelength * distance / (N * detector pixel).

    Args:
        given: by the user.
        of_frames: metadata of the frames' file.
        of_product: metadata of the product, None without one.
        frame_size: N.
        decisions: what was decided is added here.

    Raises:
        ScanDataError: with the quantities that are missing.
    """
    energy = (
        given.photon_energy_ev or _energy(of_product, decisions) or _energy(of_frames, decisions)
    )
    distance = (
        given.detector_distance_m
        or _positive(getattr(of_product, 'detector_distance_m', None))
        or _positive(of_frames.detector_distance_m)
    )
    if given.pixel_size_m is not None:
        return Geometry((given.pixel_size_m, given.pixel_size_m), energy, distance)
    pixels = _detector_pixels(given, of_frames)
    missing = [
        name
        for name, value in {
            'photon_energy_ev': energy,
            'detector_distance_m': distance,
            'detector_pixel_size_m': pixels,
        }.items()
        if value is None
    ]
    if missing or energy is None or distance is None or pixels is None:
        named = ' and '.join(f'load_scan({name}=...)' for name in missing)
        raise ScanDataError(
            [
                'the size of an object pixel is not known, which positions in metres need: the '
                f'files do not say {", ".join(name.rsplit("_", 1)[0] for name in missing)}; name '
                f'{named}, or load_scan(pixel_size_m=...)'
            ]
        )
    extent_m = EV_METRE / energy * distance / frame_size
    height_m, width_m = extent_m / pixels[0], extent_m / pixels[1]
    decisions.append(
        f'an object pixel is {height_m * 1e9:.4g} nm x {width_m * 1e9:.4g} nm: {energy:.6g} eV, '
        f'detector of {pixels[0] * 1e6:.4g} um pixels at {distance:.4g} m'
    )
    return Geometry((height_m, width_m), energy, distance)


def _detector_pixels(
    given: InstrumentOptions, of_frames: DiffractionMetadata
) -> tuple[float, float] | None:
    if given.detector_pixel_size_m is not None:
        return given.detector_pixel_size_m, given.detector_pixel_size_m
    pixels = of_frames.detector_pixel_geometry
    if pixels is None or not (pixels.height_m > 0 and pixels.width_m > 0):
        return None
    return float(pixels.height_m), float(pixels.width_m)


def _positive(value: float | None) -> float | None:
    """Return a length without its sign, None where it is zero or not known."""
    return None if value is None or value == 0 or value != value else abs(float(value))


def _energy(metadata: object, decisions: list[str]) -> float | None:
    """Return the photon energy of a file, also of one that has electronvolts for joules."""
    name = 'photon_energy_eV' if hasattr(metadata, 'photon_energy_eV') else 'probe_energy_eV'
    energy = _positive(getattr(metadata, name, None))
    if energy is None or LEAST_ENERGY_EV <= energy <= MOST_ENERGY_EV:
        return energy
    as_stored = energy * ELECTRON_VOLT_J
    if LEAST_ENERGY_EV <= as_stored <= MOST_ENERGY_EV:
        decisions.append(f'the photon energy {as_stored:.6g} is taken as electronvolts, not joules')
        return as_stored
    decisions.append(f'the photon energy of the file, {energy:.4g} eV, is left aside')
    return None
