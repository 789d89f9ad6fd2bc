"""Positions and probe of CXI files that have no object, which Ptychodus does not read.

Form of the files: https://www.cxidb.org/cxi.html, and the same tree in NXcxi_ptycho of NeXus.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.hdf5_checks import find_dataset, hdf5_faults
from ptychopinn_plugin.scan.data import ComplexArray

TYPE = 'CXI'
# (x, y, z) in metres, under the names of the specification and of older files.
POSITIONS = ('/entry_1/sample_1/geometry_1/translation', '/entry_1/data_1/translation')
PROBE = '/entry_1/instrument_1/source_1/illumination'


def read_cxi_positions(path: Path, *, external_files: bool = False) -> ProbePositionSequence:
    """Return the positions, metres.

    Args:
        path: the file.
        external_files: see `load_scan`.

    Raises:
        ScanDataError: there are none.
    """
    name = _first(path, POSITIONS, external_files=external_files)
    if name is None:
        raise ScanDataError(
            [f'{path} has no positions at {POSITIONS[0]}; name a file of them with '
             'load_scan(positions=...)']
        )  # fmt: skip
    values = _read(path, name, external_files=external_files)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ScanDataError(
            [f'{path}, {name!r} must have shape (n, 3) or (n, 2), got {values.shape}']
        )
    rows = values[:, :2].astype(float).tolist()
    return ProbePositionSequence([ProbePosition(i, x, y) for i, (x, y) in enumerate(rows)])


def read_cxi_probe(path: Path, size: int, *, external_files: bool = False) -> ComplexArray | None:
    """Return the probe, complex64 (modes, N, N); None where the file has none of that size.

    Args:
        path: the file.
        size: N.
        external_files: see `load_scan`.
    """
    if find_dataset(path, PROBE, external_files=external_files) is None:
        return None
    values = _read(path, PROBE, external_files=external_files)
    if values.dtype.kind != 'c' or values.ndim not in (2, 3) or values.shape[-2:] != (size, size):
        return None
    return np.ascontiguousarray(values.reshape(-1, size, size), np.complex64)


def _first(path: Path, names: tuple[str, ...], *, external_files: bool) -> str | None:
    for name in names:
        if find_dataset(path, name, external_files=external_files) is not None:
            return name
    return None


def _read(path: Path, name: str, *, external_files: bool) -> np.ndarray[tuple[int, ...], np.dtype]:
    if faults := hdf5_faults(path, [name], (), external_files=external_files):
        raise ScanDataError(faults)
    with h5py.File(path, 'r') as file:
        return np.asarray(file[name][()])
