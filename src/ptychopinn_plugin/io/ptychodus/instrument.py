"""The instrument's geometry as a product needs it, nominal where a scan does not know its own."""

from __future__ import annotations

from dataclasses import dataclass

from ptychopinn_plugin.scan.data import ScanData

# A product needs a geometry; notes in its comments say which values are nominal.
NOMINAL_PIXEL_M = 1e-9
NOMINAL_ENERGY_EV = 10_000.0
NOMINAL_DISTANCE_M = 1.0
PIXEL_SIZE_UNKNOWN = 'pixel size unknown: 1 nm is nominal'


@dataclass(frozen=True)
class Instrument:
    """Geometry for a product; nominal where the scan does not know its own.

    Attributes:
        pixel_size_m: (height, width) of an object pixel.
        photon_energy_ev: photon energy.
        detector_distance_m: sample to detector.
        notes: a sentence for each nominal value.
    """

    pixel_size_m: tuple[float, float]
    photon_energy_ev: float
    detector_distance_m: float
    notes: tuple[str, ...]


def find_instrument(scan: ScanData, pixel_size_m: tuple[float, float] | None = None) -> Instrument:
    """Return the scan's geometry, nominal values where it has none.

    Args:
        scan: the scan.
        pixel_size_m: in place of the scan's own, where it was calibrated.
    """
    known = scan.metadata
    pixel_size_m = pixel_size_m or known.pixel_size_m
    notes = []
    if pixel_size_m is None:
        notes.append(PIXEL_SIZE_UNKNOWN)
    if known.photon_energy_ev is None:
        notes.append('photon energy unknown: 10 keV is nominal')
    if known.detector_distance_m is None:
        notes.append('detector distance unknown: 1 m is nominal')
    return Instrument(
        pixel_size_m or (NOMINAL_PIXEL_M, NOMINAL_PIXEL_M),
        NOMINAL_ENERGY_EV if known.photon_energy_ev is None else known.photon_energy_ev,
        NOMINAL_DISTANCE_M if known.detector_distance_m is None else known.detector_distance_m,
        tuple(notes),
    )
