"""Results as NumPy's .npz files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.errors import ResultFileError
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.result import Result

# Name: dtype kind and number of axes.
_MEMBERS = {
    'object': ('c', 2),
    'origin_px': ('i', 1),
    'probe': ('c', 3),
    'coverage': ('f', 2),
    'residual': ('f', 1),
    'stages': ('U', 1),
    'backend': ('U', 0),
    'seconds': ('f', 0),
    'model': ('U', 0),
    'losses': ('f', 1),
    'xcoords': ('f', 1),
    'ycoords': ('f', 1),
}


def save_npz(path: str | Path, reconstruction: Reconstruction, scan: ScanData) -> None:
    """Write a reconstruction to an .npz file, whole or not at all.

    The file holds `object` complex64 (H, W), NaN where no probe reached; its pixel (y, x) has the
    coordinate (y, x) + `origin_px` in the frame of `ycoords`, `xcoords` float64 (n,), object
    pixels; `probe` complex64 (modes, N, N); `coverage` float32 (H, W); `residual` float64 (steps,)
    and `stages`, one a step; `losses`, the training history of the model; `backend`, `seconds`,
    `model` (the fingerprint of its weights, '' without one); `pixel_size_m` (height, width) where
    it is known.

    Raises:
        OutputError: the file cannot be written there.
    """
    path = Path(path)
    check_output(path, ('.npz',))
    members: dict[str, npt.ArrayLike] = {
        'object': reconstruction.object_canvas,
        'origin_px': np.asarray(reconstruction.origin_px, dtype=np.int64),
        'probe': reconstruction.probe,
        'coverage': reconstruction.coverage,
        'residual': reconstruction.residual,
        'stages': np.asarray(reconstruction.stages, dtype=np.str_),
        'backend': reconstruction.backend,
        'seconds': float(reconstruction.seconds),
        'model': reconstruction.model_name,
        'losses': np.asarray(reconstruction.losses, dtype=np.float64),
        'xcoords': scan.positions_px[:, 1],
        'ycoords': scan.positions_px[:, 0],
    }
    if scan.metadata.pixel_size_m is not None:
        members['pixel_size_m'] = np.asarray(scan.metadata.pixel_size_m, dtype=np.float64)
    with replacing(path) as temporary:
        np.savez(temporary, allow_pickle=False, **members)


def load_npz(path: str | Path) -> Result:
    """Read a result that `save_npz` wrote.

    Raises:
        ResultFileError: no such file, another kind of file, or one that is not complete.
    """
    path = Path(path)
    members = _read(path)
    faults = _faults(members)
    if faults:
        raise ResultFileError(f'{path} is not a result of ptychopinn: ' + '; '.join(faults))
    row, column = (int(value) for value in members['origin_px'])
    pixel_size = members.get('pixel_size_m')
    reconstruction = Reconstruction(
        object_canvas=members['object'].astype(np.complex64, copy=False),
        origin_px=(row, column),
        probe=members['probe'].astype(np.complex64, copy=False),
        coverage=members['coverage'].astype(np.float32, copy=False),
        residual=members['residual'].astype(np.float64, copy=False),
        stages=tuple(str(stage) for stage in members['stages']),
        backend=cast('Backend', str(members['backend'])),
        seconds=float(members['seconds']),
        model_name=str(members['model']),
        losses=tuple(float(loss) for loss in members['losses']),
    )
    return Result(
        reconstruction,
        np.stack([members['ycoords'], members['xcoords']], axis=1).astype(np.float64),
        None if pixel_size is None else (float(pixel_size[0]), float(pixel_size[1])),
    )


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open('rb') as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in (*_MEMBERS, 'pixel_size_m') if name in file}
    except FileNotFoundError as error:
        raise ResultFileError(f'there is no result file {path}') from error
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ResultFileError(f'{path} cannot be read as an .npz file: {error}') from error


def _faults(members: dict[str, npt.NDArray[Any]]) -> list[str]:
    missing = [name for name in _MEMBERS if name not in members]
    if missing:
        return [f'it has no {", ".join(repr(name) for name in missing)}']
    faults = [
        f'{name!r} is {members[name].dtype} {members[name].shape}'
        for name, (kind, axes) in _MEMBERS.items()
        if members[name].dtype.kind != kind or members[name].ndim != axes
    ]
    if not faults and members['object'].shape != members['coverage'].shape:
        faults.append(
            f"'object' {members['object'].shape} and 'coverage' {members['coverage'].shape} differ"
        )
    if not faults and members['xcoords'].shape != members['ycoords'].shape:
        faults.append("'xcoords' and 'ycoords' differ in length")
    if not faults and str(members['backend']) not in get_args(Backend):
        faults.append(f"'backend' is {str(members['backend'])!r}")
    return faults
