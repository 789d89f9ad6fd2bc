"""Reading the scalars of an .npz: instrument, photons, domain."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.measurement_domain import DOMAIN_NAMES
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.scan.data import ScanMetadata

Array = npt.NDArray[Any]


def read_metadata(archive: NpzArchive, frames: int) -> ScanMetadata:
    """Return the geometry of the instrument.

    Raises:
        ScanDataError: with every value that is no number.
    """
    faults: list[str] = []
    energy = _scalar(archive, 'photon_energy_ev', faults)
    distance = _scalar(archive, 'detector_distance_m', faults)
    pixel_size = _pair(archive, 'pixel_size_m', faults)
    center = _pair(archive, 'object_center_m', faults)
    index = None
    if 'scan_index' in archive:
        stored = archive.read('scan_index')
        # A constant one numbers the object, not its frames.
        if stored.dtype.kind in 'ui' and stored.shape == (frames,) and np.ptp(stored) > 0:
            index = stored.astype(np.int64)
    if faults:
        raise ScanDataError(faults)
    return ScanMetadata(
        pixel_size_m=pixel_size,
        photon_energy_ev=energy,
        detector_distance_m=distance,
        object_center_m=center,
        scan_index=index,
    )


def read_nphotons(archive: NpzArchive) -> float | None:
    """Return the file's photons a frame, from `nphotons` or inside the JSON of `_metadata`.

    Raises:
        ScanDataError: the value is not a positive number.
    """
    faults: list[str] = []
    value = _scalar(archive, 'nphotons', faults)
    if value is None and '_metadata' in archive and not faults:
        value = _nphotons_of_json(archive.read('_metadata'))
    if value is not None and not (np.isfinite(value) and value > 0):
        faults.append(f"'nphotons' must be a positive number, got {value}")
    if faults:
        raise ScanDataError(faults)
    return value


def read_declared_domain(archive: NpzArchive) -> str | None:
    """Return the file's `measurement_domain`, None without one.

    Raises:
        ScanDataError: it is neither counts nor amplitude.
    """
    if 'measurement_domain' not in archive:
        return None
    stored = archive.read('measurement_domain').ravel()
    word = stored[0] if stored.size == 1 else None
    text = word.decode('ascii', 'replace') if isinstance(word, bytes) else str(word)
    if text.lower() not in DOMAIN_NAMES:
        fault = f"measurement_domain must be 'counts' or 'amplitude', got {text!r}"
        raise ScanDataError([f'{fault}; correct it, or say which with load_scan(domain=...)'])
    return text.lower()


def _scalar(archive: NpzArchive, key: str, faults: list[str]) -> float | None:
    if key not in archive:
        return None
    stored = archive.read(key)
    if stored.size != 1 or stored.dtype.kind not in 'uif':
        faults.append(f'{key!r} must be one number, got {stored.dtype} {stored.shape}')
        return None
    return float(stored.ravel()[0])


def _pair(archive: NpzArchive, key: str, faults: list[str]) -> tuple[float, float] | None:
    if key not in archive:
        return None
    stored = archive.read(key).ravel()
    if stored.size not in (1, 2) or stored.dtype.kind not in 'uif':
        faults.append(f'{key!r} must be one number or (y, x), got {stored.dtype} {stored.shape}')
        return None
    return float(stored[0]), float(stored[-1])


def _nphotons_of_json(stored: Array) -> float | None:
    if stored.dtype.kind != 'U' or stored.size != 1:
        return None
    try:
        tree = json.loads(str(stored.ravel()[0]))
    except json.JSONDecodeError:
        return None
    return _find_number(tree, 'nphotons')


def _find_number(tree: object, key: str) -> float | None:
    if not isinstance(tree, dict):
        return None
    value = tree.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    for branch in tree.values():
        found = _find_number(branch, key)
        if found is not None:
            return found
    return None
