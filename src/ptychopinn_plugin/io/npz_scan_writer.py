"""The .npz writer: a scan in the canonical contract."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.config.constants import EV_METRE
from ptychopinn_plugin.io.stored_counts import counts_dtype
from ptychopinn_plugin.scan.data import ScanData
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.photons import mean_photons


def save_npz(path: Path | str, scan: ScanData) -> None:
    """Write a scan as a canonical .npz, which `load_npz` reads back as the same scan.

    Arrays: `diffraction` float32 (n, N, N), amplitude, 0 where bad; `xcoords`, `ycoords` and the
    same as `xcoords_start`, `ycoords_start`, float64 (n,), object pixels; `scan_index` int64 (n,),
    where known; `probeGuess` complex64 (N, N), or (modes, N, N) for several modes; `objectGuess`
    complex64 (H, W), and `Y` complex64 (n, N, N), the true patches, where known; `bad_pixels` bool
    (N, N), True where bad, if there are any; `opr_modes`, `opr_weights`, `flux`, `background` as in
    `Estimates`, where known; scalars `measurement_domain` ('amplitude'),
    `nphotons` (mean photons a frame), and of the instrument what is known. Nothing in it needs
    pickle.

    Raises:
        OutputError: the file cannot be written there; nothing is left behind.
    """
    with replacing(Path(path)) as file:
        np.savez(file, allow_pickle=False, **scan_arrays(scan))


def save_npz_counts(path: Path | str, scan: ScanData) -> None:
    """Write a scan as an .npz of counts, frame by frame, for conversion from other files.

    As `save_npz`, with `diffraction` (n, N, N) as counts, uint16 or uint32 where they are whole,
    else float32, `measurement_domain` 'counts', and no `probeGuess` where the scan has no probe.
    The frames are not compressed, so that they can be read where they are.

    Raises:
        OutputError: the file cannot be written there; nothing is left behind.
    """
    arrays = _other_arrays(scan, 'counts')
    if scan.metadata.probe_is_unknown:
        del arrays['probeGuess']
    with replacing(Path(path)) as file, zipfile.ZipFile(file, 'w', zipfile.ZIP_STORED) as archive:
        with archive.open('diffraction.npy', 'w', force_zip64=True) as member:
            _write_counts(member, scan)
        for name, array in arrays.items():
            with archive.open(f'{name}.npy', 'w', force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _write_counts(member: IO[bytes], scan: ScanData) -> None:
    dtype = counts_dtype(scan.counts)
    header = {
        'descr': np.lib.format.dtype_to_descr(dtype),
        'fortran_order': False,
        'shape': scan.counts.shape,
    }
    np.lib.format.write_array_header_1_0(member, header)
    for _, some in frame_chunks(scan.counts):
        member.write(some.astype(dtype).tobytes())


def scan_arrays(scan: ScanData) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a canonical .npz by name, as `save_npz` writes them."""
    amplitude = np.where(scan.mask, np.float32(0), scan.counts)
    np.sqrt(amplitude, out=amplitude)
    return {'diffraction': amplitude} | _other_arrays(scan, 'amplitude')


def _other_arrays(scan: ScanData, domain: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz beside the frames, by name; `domain` is that of the frames."""
    y, x = np.ascontiguousarray(scan.positions_px.T)
    arrays: dict[str, npt.NDArray[Any]] = {
        'xcoords': x,
        'ycoords': y,
        'xcoords_start': x,
        'ycoords_start': y,
        'probeGuess': scan.probe[0] if scan.mode_count == 1 else scan.probe,
        'measurement_domain': np.asarray(domain),
        'nphotons': np.asarray(mean_photons(scan)),
    }
    if scan.mask.any():
        arrays['bad_pixels'] = scan.mask
    if scan.object_guess is not None:
        arrays['objectGuess'] = scan.object_guess
    if scan.true_patches is not None:
        arrays['Y'] = scan.true_patches
    if scan.metadata.scan_index is not None:
        arrays['scan_index'] = scan.metadata.scan_index
    known = scan.estimates.arrays()
    known.pop('nominal_positions_px', None)
    return arrays | known | _instrument(scan)


def _instrument(scan: ScanData) -> dict[str, npt.NDArray[Any]]:
    """Return the scalars that are known; some also under the name that Ptychodus reads."""
    known = scan.metadata
    scalars: dict[str, Any] = {
        'pixel_size_m': known.pixel_size_m,
        'object_center_m': known.object_center_m,
        'photon_energy_ev': known.photon_energy_ev,
        'probe_energy_ev': known.photon_energy_ev,
        'detector_distance_m': known.detector_distance_m,
    }
    if known.pixel_size_m and known.photon_energy_ev and known.detector_distance_m:
        # In the far field an object pixel is wavelength * distance / (N * detector pixel).
        wavelength_m = EV_METRE / known.photon_energy_ev
        extent_m = known.pixel_size_m[1] * scan.frame_size
        scalars['detector_pixel_size_m'] = wavelength_m * known.detector_distance_m / extent_m
    return {name: np.asarray(value) for name, value in scalars.items() if value is not None}
