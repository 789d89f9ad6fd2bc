"""Reading what a scan's file holds beside frames, positions, probe and object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npy_stream import read_npy
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.scan.estimates import Estimates

Array = npt.NDArray[Any]
Image = npt.NDArray[np.float32]

# Name in the file, dtype after reading, kinds of dtype that are taken, axes.
_MEMBERS: dict[str, tuple[type[np.generic], str, int]] = {
    'opr_modes': (np.complex64, 'uifc', 3),
    'opr_weights': (np.float32, 'uif', 2),
    'flux': (np.float64, 'uif', 1),
    'background': (np.float32, 'uif', 2),
}


def read_estimates(archive: NpzArchive) -> Estimates:
    """Return variation of the probe, flux and background, as far as the file has them.

    Raises:
        ScanDataError: with every member of another form.
    """
    found, faults = {}, []
    for name in filter(archive.__contains__, _MEMBERS):
        dtype, kinds, axes = _MEMBERS[name]
        header = archive.header(name)
        if header.dtype.kind not in kinds or len(header.shape) != axes:
            faults.append(
                f'{name!r} must hold {axes} axes of {np.dtype(dtype)}, got {header.dtype} '
                f'{header.shape}'
            )
            continue
        found[name] = archive.read(name).astype(dtype)
    if faults:
        raise ScanDataError(faults)
    return Estimates(**found)


def read_background_file(path: Path) -> Image:
    """Return the background of an .npy file, or of the member `background` of an .npz file.

    Args:
        path: the file; counts a pixel, (N, N), zero frequency at N//2.

    Raises:
        ScanDataError: the file cannot be read or holds no such image.
    """
    if path.suffix.lower() == '.npy':
        what = f'the background file {path} cannot be read'
        with reading(lambda text: ScanDataError([text]), what):
            stored = read_npy(path)
    else:
        with NpzArchive(path) as archive:
            if 'background' not in archive:
                raise ScanDataError([f"{path} holds no background: 'background' is not in it"])
            stored = archive.read('background')
    if stored.dtype.kind not in 'uif' or stored.ndim != 2:
        raise ScanDataError(
            [f'the background of {path} must be an image of counts, got {stored.dtype} '
             f'{stored.shape}']
        )  # fmt: skip
    return np.asarray(stored, np.float32)
