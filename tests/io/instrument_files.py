"""Small files as instruments and other programs write them, of one simulated scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan

ENERGY_EV, DISTANCE_M, DETECTOR_PIXEL_M = 8000.0, 1.5, 75e-6
JOULE = 1.602176634e-19
SIZE = 16
PIXEL_M = 1.239841984332e-6 / ENERGY_EV * DISTANCE_M / (SIZE * DETECTOR_PIXEL_M)
GEOMETRY: dict[str, Any] = {
    'photon_energy_ev': ENERGY_EV,
    'detector_distance_m': DISTANCE_M,
    'detector_pixel_size_m': DETECTOR_PIXEL_M,
}


def instrument_scan() -> ScanData:
    """Return the scan that the files hold: 25 frames of 16 x 16, whole counts."""
    scan: ScanData = make_scan(frame_size=SIZE, with_guess=False)
    return scan


def positions_m(scan: ScanData) -> npt.NDArray[np.float64]:
    """Return positions in metres, float64 (n, 2), (x, y)."""
    return np.asarray(scan.positions_px[:, ::-1] * PIXEL_M)


def frames(scan: ScanData) -> npt.NDArray[np.uint16]:
    return scan.counts.astype(np.uint16)


def write_hdf5(path: Path, content: dict[str, Any]) -> Path:
    with h5py.File(path, 'w') as file:
        for name, value in content.items():
            if isinstance(value, h5py.SoftLink | h5py.ExternalLink):
                file[name] = value
            else:
                file.create_dataset(name, data=value)
    return path


def write_cxi(path: Path, scan: ScanData, energy: float = ENERGY_EV * JOULE) -> Path:
    """Write a scan without object as the CXI format (and NXcxi_ptycho) has it."""
    positions = np.c_[positions_m(scan), np.zeros(scan.frame_count)]
    detector = '/entry_1/instrument_1/detector_1'
    return write_hdf5(
        path,
        {
            f'{detector}/data': frames(scan),
            f'{detector}/distance': DISTANCE_M,
            f'{detector}/x_pixel_size': DETECTOR_PIXEL_M,
            f'{detector}/y_pixel_size': DETECTOR_PIXEL_M,
            f'{detector}/mask': scan.mask.astype(np.uint32),
            '/entry_1/instrument_1/source_1/energy': energy,
            '/entry_1/instrument_1/source_1/illumination': scan.probe[0],
            '/entry_1/sample_1/geometry_1/translation': positions,
            '/entry_1/data_1/data': h5py.SoftLink(f'{detector}/data'),
            '/entry_1/data_1/translation': h5py.SoftLink(
                '/entry_1/sample_1/geometry_1/translation'
            ),
        },
    )


def write_csv(path: Path, scan: ScanData) -> Path:
    """Write positions as Ptychodus' type CSV has them: y, x in metres."""
    path.write_text(''.join(f'{y!r},{x!r}\n' for x, y in positions_m(scan).tolist()))
    return path


def write_text(path: Path, scan: ScanData) -> Path:
    """Write positions as Ptychodus' type TXT has them: x y in metres."""
    path.write_text(''.join(f'{x!r} {y!r}\n' for x, y in positions_m(scan).tolist()))
    return path


def write_velociprobe(folder: Path, scan: ScanData, *, beam: tuple[int, int]) -> Path:
    """Write a master file, two files of frames on a wider detector, and positions.

    Args:
        folder: for the files.
        scan: the scan.
        beam: (row, column) of the zero frequency on the detector of 40 x 50 pixels.
    """
    wide = np.zeros((scan.frame_count, 40, 50), np.uint32)
    top, left = beam[0] - SIZE // 2, beam[1] - SIZE // 2
    wide[:, top : top + SIZE, left : left + SIZE] = scan.counts
    half = scan.frame_count // 2
    names = ['fly_data_000001.h5', 'fly_data_000002.h5']
    for name, some in zip(names, (wide[:half], wide[half:]), strict=True):
        write_hdf5(folder / name, {'/entry/data/data': some})
    detector = '/entry/instrument/detector'
    path = write_hdf5(
        folder / 'fly_master.h5',
        {
            '/entry/data/data_000001': h5py.ExternalLink(names[0], '/entry/data/data'),
            '/entry/data/data_000002': h5py.ExternalLink(names[1], '/entry/data/data'),
            f'{detector}/detectorSpecific/nimages': half,
            f'{detector}/detectorSpecific/ntrigger': 1,
            f'{detector}/detectorSpecific/photon_energy': ENERGY_EV,
            f'{detector}/detectorSpecific/x_pixels_in_detector': 50,
            f'{detector}/detectorSpecific/y_pixels_in_detector': 40,
            f'{detector}/detector_distance': DISTANCE_M,
            f'{detector}/beam_center_x': beam[1],
            f'{detector}/beam_center_y': beam[0],
            f'{detector}/x_pixel_size': DETECTOR_PIXEL_M,
            f'{detector}/y_pixel_size': DETECTOR_PIXEL_M,
            '/entry/sample/goniometer/chi': 0.0,
        },
    )
    units = {'photon_energy': 'eV', 'chi': 'degree', 'beam_center_x': 'pixel'}
    units |= {'beam_center_y': 'pixel'}
    with h5py.File(path, 'r+') as file:
        for name in (*units, 'detector_distance', 'x_pixel_size', 'y_pixel_size'):
            place = {'photon_energy': f'{detector}/detectorSpecific/photon_energy'}.get(name)
            place = '/entry/sample/goniometer/chi' if name == 'chi' else place
            file[place or f'{detector}/{name}'].attrs['units'] = np.bytes_(units.get(name, 'm'))
    nanometres = np.rint(positions_m(scan) * 1e9).astype(int).tolist()
    lines = [f'0,{x},{y},0,0,{y},0,{i}\n' for i, (x, y) in enumerate(nanometres)]
    (folder / 'fly_positions.txt').write_text(''.join(lines))
    return path


def _nanomax(scan: ScanData) -> dict[str, Any]:
    x, y = positions_m(scan).T * 1e6
    return {
        '/entry/measurement/eiger1m/frames': frames(scan),
        '/entry/measurement/pseudo/x': x,
        '/entry/measurement/pseudo/y': y,
    }


def _hxn_style_1(scan: ScanData) -> dict[str, Any]:
    return {
        '/diff_data/merlin1/det_images': frames(scan),
        '/scan/energy': ENERGY_EV,
        '/scan/exposure_time': 0.1,
        '/scan/scan_positions': positions_m(scan).T * 1e6,
    }


def _xpp(scan: ScanData) -> dict[str, Any]:
    x, y = positions_m(scan).T * 1e6
    return {
        '/jungfrau1M/image_img': frames(scan),
        '/lmc/ch03': -x,
        '/lmc/ch04': np.zeros(len(x)),
        '/lmc/ch05': -y,
        '/ipm2/sum': np.full(len(x), 2500.0),
    }


def _cssi(scan: ScanData) -> dict[str, Any]:
    return {'/exchange/data': frames(scan), '/exchange/motor_pos': positions_m(scan) * 1e3}


@dataclass(frozen=True)
class InstrumentFile:
    """One HDF5 file with frames and positions.

    Attributes:
        type_name: Ptychodus' name.
        content: of a scan, by name.
        knows: what of the geometry the file has.
    """

    type_name: str
    content: Callable[[ScanData], dict[str, Any]]
    knows: tuple[str, ...] = ()


WHOLE_SCANS = (
    InstrumentFile('MAX_IV_NanoMAX', _nanomax),
    InstrumentFile('NSLS_II_1', _hxn_style_1, ('photon_energy_ev',)),
    InstrumentFile('LCLS_XPP', _xpp),
    InstrumentFile('APS_CSSI', _cssi),
)
