"""Reading the scalars of an .npz: instrument, photons, domain."""

from __future__ import annotations

import math

import numpy as np

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.json_text import as_float, parse_json
from ptychopinn_plugin.io.measurement_domain import DOMAIN_NAMES
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.scan.data import ScanMetadata

# Bytes of a word, and of a text in JSON.
LONGEST_WORD, LONGEST_TEXT = 1000, 4_000_000


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
    if 'scan_index' in archive and archive.header('scan_index').shape == (frames,):
        stored = archive.read('scan_index')
        # A constant one numbers the object, not its frames.
        if stored.dtype.kind in 'ui' and np.ptp(stored) > 0:
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
        value = _nphotons_of_json(archive)
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
    header = archive.header('measurement_domain')
    is_word = math.prod(header.shape) == 1 and header.dtype.itemsize <= LONGEST_WORD
    word = archive.read('measurement_domain').ravel()[0] if is_word else None
    text = word.decode('ascii', 'replace') if isinstance(word, bytes) else str(word)
    if text.lower() not in DOMAIN_NAMES:
        fault = f"measurement_domain must be 'counts' or 'amplitude', got {text!r}"
        raise ScanDataError([f'{fault}; correct it, or say which with load_scan(domain=...)'])
    return text.lower()


def read_number(archive: NpzArchive, key: str) -> float | None:
    """Return one number, None without it.

    Raises:
        ScanDataError: it is no number.
    """
    faults: list[str] = []
    value = _scalar(archive, key, faults)
    if faults:
        raise ScanDataError(faults)
    return value


def _scalar(archive: NpzArchive, key: str, faults: list[str]) -> float | None:
    if key not in archive:
        return None
    header = archive.header(key)
    if math.prod(header.shape) != 1 or header.dtype.kind not in 'uif':
        faults.append(f'{key!r} must be one number, got {header.dtype} {header.shape}')
        return None
    return float(archive.read(key).ravel()[0])


def _pair(archive: NpzArchive, key: str, faults: list[str]) -> tuple[float, float] | None:
    if key not in archive:
        return None
    header = archive.header(key)
    if math.prod(header.shape) not in (1, 2) or header.dtype.kind not in 'uif':
        faults.append(f'{key!r} must be one number or (y, x), got {header.dtype} {header.shape}')
        return None
    stored = archive.read(key).ravel()
    return float(stored[0]), float(stored[-1])


def _nphotons_of_json(archive: NpzArchive) -> float | None:
    """Return the first `nphotons` in the JSON of `_metadata`; None for whatever else is there."""
    header = archive.header('_metadata')
    is_text = header.dtype.kind == 'U' and math.prod(header.shape) == 1
    if not is_text or header.dtype.itemsize > LONGEST_TEXT:
        return None
    try:
        tree = parse_json(str(archive.read('_metadata').ravel()[0]))
    except ValueError:
        return None
    return _find_number(tree, 'nphotons')


def _find_number(tree: object, key: str) -> float | None:
    """Return the number of a name, the outermost and first one; None without any."""
    level = [tree]
    while level:
        dicts = [one for one in level if isinstance(one, dict)]
        for one in dicts:
            value = one.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return as_float(value)
        level = [branch for one in dicts for branch in one.values()]
    return None
