"""The .npz writer: a scan in the canonical contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.config.constants import EV_METRE
from ptychopinn_plugin.scan.data import ScanData
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


def scan_arrays(scan: ScanData) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a canonical .npz by name, as `save_npz` writes them."""
    y, x = np.ascontiguousarray(scan.positions_px.T)
    amplitude = np.where(scan.mask, np.float32(0), scan.counts)
    np.sqrt(amplitude, out=amplitude)
    arrays: dict[str, npt.NDArray[Any]] = {
        'diffraction': amplitude,
        'xcoords': x,
        'ycoords': y,
        'xcoords_start': x,
        'ycoords_start': y,
        'probeGuess': scan.probe[0] if scan.mode_count == 1 else scan.probe,
        'measurement_domain': np.asarray('amplitude'),
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
