"""Reconstructions as NumPy's .npz files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.errors import ResultFileError, ScanDataError
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.result_checks import result_faults
from ptychopinn_plugin.scan.estimates import Estimates
from ptychopinn_plugin.scan.pass_history import PassHistory
from ptychopinn_plugin.scan.quality import Quality, quality_faults
from ptychopinn_plugin.scan.reconstruction import Reconstruction

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class _StoredField:
    """How a field of `Reconstruction` is stored: one array of its own name, or of `key`.

    Attributes:
        kind: of the array's dtype.
        axes: number of axes; a tuple of values has one, a single value none.
        dtype: on writing and after reading.
        key: name in the file where it is not that of the field.
        is_tuple: whether the field is a tuple of values, not an array.
        optional: left out where the field is None, and missing from older files.
    """

    kind: str
    axes: int
    dtype: type[np.generic]
    key: str = ''
    is_tuple: bool = False
    optional: bool = False


# One row a field; a new field of `Reconstruction` needs one row here, `optional`, since files
# without it must still load.
_FIELDS = {
    'object_canvas': _StoredField('c', 2, np.complex64, key='object'),
    'origin_px': _StoredField('i', 1, np.int64, is_tuple=True),
    'probe': _StoredField('c', 3, np.complex64),
    'coverage': _StoredField('f', 2, np.float32),
    'residual': _StoredField('f', 1, np.float64),
    'stages': _StoredField('U', 1, np.str_, is_tuple=True),
    'backend': _StoredField('U', 0, np.str_),
    'seconds': _StoredField('f', 0, np.float64),
    'model_name': _StoredField('U', 0, np.str_, key='model'),
    'losses': _StoredField('f', 1, np.float64, is_tuple=True),
    'pixel_size_m': _StoredField('f', 1, np.float64, is_tuple=True, optional=True),
    'residual_name': _StoredField('U', 0, np.str_, optional=True),
    'probe_refined': _StoredField('b', 0, np.bool_, optional=True),
    'scan_index': _StoredField('i', 1, np.int64, optional=True),
    'remarks': _StoredField('U', 1, np.str_, is_tuple=True, optional=True),
    'warning': _StoredField('U', 0, np.str_, optional=True),
    'network_change': _StoredField('c', 2, np.complex64, optional=True),
    'settings': _StoredField('U', 1, np.str_, is_tuple=True, optional=True),
    'version': _StoredField('U', 0, np.str_, optional=True),
}
# Those of its `Estimates`, under their own names.
_ESTIMATES = {
    'opr_modes': _StoredField('c', 3, np.complex64, optional=True),
    'opr_weights': _StoredField('f', 2, np.float32, optional=True),
    'flux': _StoredField('f', 1, np.float64, optional=True),
    'background': _StoredField('f', 2, np.float32, optional=True),
    'nominal_positions_px': _StoredField('f', 2, np.float64, optional=True),
}
# Those of its `PassHistory`, likewise.
_HISTORY = {
    'iterations': _StoredField('i', 0, np.int64, optional=True),
    'subsets': _StoredField('i', 0, np.int64, optional=True),
    'automatic': _StoredField('b', 0, np.bool_, optional=True),
    'updates_probe': _StoredField('b', 0, np.bool_, optional=True),
    'moves_frames': _StoredField('b', 0, np.bool_, optional=True),
    'position_errors_px': _StoredField('f', 0, np.float64, optional=True),
    'finds_background': _StoredField('b', 0, np.bool_, optional=True),
}
# Those of its `Quality`, likewise.
_QUALITY = {
    'ring_frequency': _StoredField('f', 1, np.float64, optional=True),
    'ring_correlation': _StoredField('f', 1, np.float64, optional=True),
    'half_bit': _StoredField('f', 1, np.float64, optional=True),
    'one_bit': _StoredField('f', 1, np.float64, optional=True),
    'half_bit_limit': _StoredField('f', 0, np.float64, optional=True),
    'one_bit_limit': _StoredField('f', 0, np.float64, optional=True),
    'typical_phase_error': _StoredField('f', 0, np.float64, optional=True),
    'held_out': _StoredField('f', 0, np.float64, optional=True),
    'held_out_unexplained': _StoredField('f', 0, np.float64, optional=True),
    'amplitude_error': _StoredField('f', 2, np.float32, optional=True),
    'phase_error': _StoredField('f', 2, np.float32, optional=True),
}
# The two columns of `positions_px` under the names that they have in a scan's file.
_ROWS, _COLUMNS = 'ycoords', 'xcoords'
_COORDINATE = _StoredField('f', 1, np.float64)
_ALL_FIELDS = _FIELDS | _ESTIMATES | _HISTORY | _QUALITY
_STORED = {row.key or name: row for name, row in _ALL_FIELDS.items()} | {
    _COLUMNS: _COORDINATE,
    _ROWS: _COORDINATE,
}


def save_npz_reconstruction(path: str | Path, reconstruction: Reconstruction) -> None:
    """Write a reconstruction to an .npz file, whole or not at all.

    The file holds `object` complex64 (H, W), NaN where no probe reached; its pixel (y, x) has the
    coordinate (y, x) + `origin_px` in the coordinates of `ycoords`, `xcoords` float64 (n,), object
    pixels; `probe` complex64 (modes, N, N); `coverage` float32 (H, W); `residual` float64 (steps,),
    its formula `residual_name`, and `stages`, one a step; `losses`, the training history of the
    model; `backend`, `seconds`, `model` (the fingerprint of its weights, '' without one);
    `probe_refined`; `remarks`, a sentence each, and `warning`; `settings`, `name = value` each, and
    `version` of this package; `iterations`, passes in all, `subsets`, `automatic`,
    `updates_probe`, `moves_frames`, `position_errors_px` and `finds_background`, see
    `PassHistory`; `pixel_size_m` (height, width) and `scan_index` int64 (n,), the number of each
    frame in its source, where they are known.
    Where they were estimated: `opr_modes` complex64 (k, N, N) and `opr_weights`
    float32 (n, k), frame j sees the main mode probe[0] + sum_k opr_weights[j, k] opr_modes[k];
    `flux` float64 (n,), relative photons of each frame; `background` float32 (N, N), counts, zero
    frequency at index N//2; `nominal_positions_px` float64 (n, 2), (row, column), before they were
    refined. `network_change` complex64 (H, W), what a network changed in the object, where one did.
    Where they were estimated, resolution and errors: `ring_frequency`,
    `ring_correlation`, `half_bit`, `one_bit` float64 (rings,), `half_bit_limit`, `one_bit_limit`,
    `typical_phase_error`, `held_out`, and `amplitude_error`, `phase_error` float32 (H, W), as in
    `Quality`.

    Raises:
        OutputError: the file cannot be written there.
    """
    path = Path(path)
    check_output(path, ('.npz',))
    arrays: Arrays = {
        row.key or name: np.asarray(value, dtype=row.dtype)
        for name, row in _FIELDS.items()
        if (value := getattr(reconstruction, name)) is not None
    }
    arrays |= reconstruction.estimates.arrays()
    arrays |= {
        name: np.asarray(getattr(reconstruction.history, name), row.dtype)
        for name, row in _HISTORY.items()
    }
    if reconstruction.quality is not None:
        arrays |= reconstruction.quality.arrays()
    arrays[_ROWS], arrays[_COLUMNS] = reconstruction.positions_px.T
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_npz_reconstruction(path: str | Path) -> Reconstruction:
    """Read a reconstruction that `save_npz_reconstruction` wrote.

    Raises:
        ResultFileError: no such file, another kind of file, or one that is not complete.
    """
    path = Path(path)
    if not path.exists():
        raise ResultFileError(f'there is no result file {path}')
    with reading(ResultFileError, f'{path} cannot be read as an .npz file'):
        arrays = _read(path)
        faults = _faults(arrays)
        if not faults:
            result = _to_reconstruction(arrays)
            frames, size = len(result.positions_px), result.probe.shape[-1]
            faults = [*result_faults(result), *result.estimates.faults(frames, size)]
    if faults:
        raise ResultFileError(f'{path} is not a result of ptychopinn: ' + '; '.join(faults))
    return result


def _to_reconstruction(arrays: Arrays) -> Reconstruction:
    fields: dict[str, Any] = {
        name: _value(row, arrays[row.key or name])
        for name, row in _FIELDS.items()
        if (row.key or name) in arrays
    }
    positions_px = np.stack([arrays[_ROWS], arrays[_COLUMNS]], axis=1).astype(np.float64)
    quality = {name: arrays[name] for name in _QUALITY if name in arrays}
    return Reconstruction(
        **fields,
        positions_px=positions_px,
        estimates=_estimates(arrays),
        history=_history(arrays),
        quality=Quality.from_arrays(quality) if quality else None,
    )


def _estimates(arrays: Arrays) -> Estimates:
    return Estimates(
        **{
            name: arrays[name].astype(row.dtype)
            for name, row in _ESTIMATES.items()
            if name in arrays
        }
    )


def _history(arrays: Arrays) -> PassHistory:
    """Return the passes that the object comes from; older files do not say."""
    return PassHistory(**{name: arrays[name].item() for name in _HISTORY if name in arrays})


def _value(row: _StoredField, stored: npt.NDArray[Any]) -> object:
    """Return an array as the dataclass has it: an array, a tuple or a single value."""
    if row.is_tuple:
        return tuple(stored.tolist())
    # A copy: what was read from a stream cannot be written to.
    return stored.astype(row.dtype) if row.axes else stored.item()


def _read(path: Path) -> Arrays:
    """Return the arrays of known names whose headers are those of a result."""
    try:
        with NpzArchive(path) as archive:
            names = [name for name in _STORED if name in archive]
            headers = {name: archive.header(name) for name in names}
            faults = [
                f'{name!r} is {header.dtype} {header.shape}'
                for name, header in headers.items()
                if header.dtype.kind != _STORED[name].kind
                or len(header.shape) != _STORED[name].axes
            ]
            if faults:
                raise ResultFileError(f'{path} is not a result of ptychopinn: ' + '; '.join(faults))
            return {name: archive.read(name) for name in names}
    except ScanDataError as error:
        sentence = f'{path} cannot be read as an .npz file: ' + '; '.join(error.faults)
        raise ResultFileError(sentence) from error


def _faults(arrays: Arrays) -> list[str]:
    missing = [name for name, row in _STORED.items() if name not in arrays and not row.optional]
    if missing:
        return [f'it has no {", ".join(repr(name) for name in missing)}']
    if arrays[_COLUMNS].shape != arrays[_ROWS].shape:
        return [f'{_COLUMNS!r} and {_ROWS!r} differ in length']
    if 'scan_index' in arrays and arrays['scan_index'].shape != arrays[_ROWS].shape:
        return [f"'scan_index' and {_ROWS!r} differ in length"]
    quality = {name: arrays[name] for name in _QUALITY if name in arrays}
    return quality_faults(quality, arrays['object'].shape) if quality else []
