"""Simulated scans as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.simulation.simulated_scan import SimulatedScan


def save_simulated(path: Path | str, simulated: SimulatedScan) -> None:
    """Write a simulated scan in the canonical NPZ contract.

    Arrays: `diffraction` float32 (n, N, N), amplitude, the square root of the counts; `xcoords`,
    `ycoords` and the same as `xcoords_start`, `ycoords_start`, float64 (n,), object pixels;
    `scan_index` int64 (n,); `probeGuess` complex64 (N, N), or (modes, N, N) for several modes;
    `objectGuess` complex64 (H, W), the ground truth; `bad_pixels` bool (N, N), True where bad, if
    there are any; scalars `measurement_domain` ('amplitude'), `nphotons` (mean photons a frame),
    `pixel_size_m`, `photon_energy_ev`, `detector_distance_m`, `seed`, and `simulation`, the whole
    config as JSON. Nothing in it needs pickle. The same scan gives the same bytes.

    Raises:
        OutputError: the file cannot be written there; nothing is left behind.
    """
    with replacing(Path(path)) as file:
        # Not compressed: faster, and the bytes do not depend on the version of zlib.
        np.savez(file, allow_pickle=False, **_arrays(simulated))


def _arrays(simulated: SimulatedScan) -> dict[str, npt.NDArray[Any]]:
    scan, config = simulated.scan, simulated.config
    y, x = np.ascontiguousarray(scan.positions_px.T)
    arrays: dict[str, npt.NDArray[Any]] = {
        'diffraction': np.sqrt(scan.counts),
        'xcoords': x,
        'ycoords': y,
        'xcoords_start': x,
        'ycoords_start': y,
        'scan_index': np.arange(scan.frame_count, dtype=np.int64),
        'probeGuess': scan.probe[0] if scan.mode_count == 1 else scan.probe,
        'objectGuess': simulated.ground_truth,
    }
    if scan.mask.any():
        arrays['bad_pixels'] = scan.mask
    scalars = {
        'measurement_domain': 'amplitude',
        'nphotons': config.photons_per_frame,
        'pixel_size_m': config.pixel_size_m,
        'photon_energy_ev': config.photon_energy_ev,
        'detector_distance_m': config.detector_distance_m,
        'seed': config.seed,
        'simulation': config.model_dump_json(),
    }
    return arrays | {name: np.asarray(value) for name, value in scalars.items()}
