"""The geometry of an .npz scan: what the file or the user says, and positions in metres."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ptychopinn_plugin.config.constants import EV_METRE
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import InstrumentOptions
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.npz_scalars import read_number
from ptychopinn_plugin.scan.builder import ScanBuilder
from ptychopinn_plugin.scan.data import PositionArray, ScanMetadata
from ptychopinn_plugin.scan.plausibility import LEAST_EXTENT_PX
from ptychopinn_plugin.scan.statistics import neighbour_step_px

# Steps between neighbours, in object pixels: of a dense fly scan, and in parts of a frame.
LEAST_STEP_PX, MOST_STEP = 0.1, 1.0
OF_INSTRUMENTS = ('diffraction_type', 'positions', 'crop', 'beam_center')


def refuse_instrument_options(given: InstrumentOptions) -> None:
    """Refuse options that mean nothing for an .npz.

    Raises:
        ScanDataError: with each of them.
    """
    faults = [
        f'load_scan({name}=...) is for files of instruments, not for an .npz: leave it out'
        for name in OF_INSTRUMENTS
        if name in given.given()
    ]
    if faults:
        raise ScanDataError(faults)


def complete_geometry(
    archive: NpzArchive, found: ScanMetadata, given: InstrumentOptions, frame_size: int
) -> ScanMetadata:
    """Return the geometry of a file with what the user says, and the pixel size that follows.

    In the far field an object pixel is wavelength * distance / (N * detector pixel).

    Args:
        archive: the file.
        found: in it.
        given: by the user, in place of it.
        frame_size: N.

    Raises:
        ScanDataError: the file's pixel of the detector is no number.
    """
    energy = given.photon_energy_ev or found.photon_energy_ev
    distance = given.detector_distance_m or found.detector_distance_m
    pixel = given.detector_pixel_size_m or read_number(archive, 'detector_pixel_size_m')
    size = found.pixel_size_m
    if given.pixel_size_m is not None:
        size = (given.pixel_size_m, given.pixel_size_m)
    elif (size is None or given.given()) and energy and distance and pixel:
        side = EV_METRE / energy * abs(distance) / (frame_size * pixel)
        size = (side, side) if math.isfinite(side) and side > 0 else size
    return dataclasses.replace(
        found, pixel_size_m=size, photon_energy_ev=energy, detector_distance_m=distance
    )


def convert_metres(builder: ScanBuilder, frame_size: int) -> None:
    """Divide positions by the size of an object pixel where they can only be in metres.

    That is where they lie within two pixels as they are, and are those of a scan once divided.

    Args:
        builder: with positions and metadata.
        frame_size: N.
    """
    positions, size = builder.positions_px, builder.metadata.pixel_size_m
    if positions is None or size is None or not _are_metres(positions, size, frame_size):
        return
    builder.positions_px = positions / np.asarray(size)
    builder.decisions.append(
        f'positions are in metres and were divided by the object pixel of {size[0] * 1e9:.4g} nm '
        f'x {size[1] * 1e9:.4g} nm'
    )
    if builder.object_guess is not None:
        builder.object_guess = None
        builder.decisions.append('the object of the file was left out: its place is not known')


def _are_metres(positions: PositionArray, size: tuple[float, float], frame_size: int) -> bool:
    if len(positions) < 2 or not (np.isfinite(positions).all() and min(size) > 0):
        return False
    if np.ptp(positions, axis=0).max() >= LEAST_EXTENT_PX:
        return False
    divided = positions / np.asarray(size)
    step = neighbour_step_px(divided)
    is_scan = np.ptp(divided, axis=0).max() >= LEAST_EXTENT_PX
    return bool(is_scan and LEAST_STEP_PX <= step <= MOST_STEP * frame_size)
