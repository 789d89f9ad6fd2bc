"""The arrays of a model file: names, dtypes and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.io.model_file.fingerprints import fingerprint
from ptychopinn_plugin.io.model_file.manifest import TrainedModel

# A prefix, so that no weight has the name of another array of the file.
WEIGHTS = 'weights/'


def to_tensors(model: TrainedModel) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a model under the names they have in its file."""
    tensors: dict[str, npt.NDArray[Any]] = {
        WEIGHTS + name: np.asarray(array, order='C') for name, array in model.weights.items()
    }
    probe = np.asarray(model.probe, order='C')
    # The file format has no complex numbers: real and imaginary parts go last.
    tensors['probe'] = np.stack([probe.real, probe.imag], axis=-1)
    tensors['losses'] = np.asarray(model.losses, order='C')
    return tensors


def checksum(tensors: dict[str, npt.NDArray[Any]], manifest: str) -> str:
    """Return the SHA-256 of all arrays and of the manifest's text."""
    text = np.frombuffer(manifest.encode(), dtype=np.uint8)
    return fingerprint([*sorted(tensors.items()), ('manifest', text)])


def tensor_faults(tensors: dict[str, npt.NDArray[Any]], frame_size: int) -> list[str]:
    """Return one sentence for each array that is missing, unknown, misshapen or not finite."""
    faults = [
        f'the array {name!r} is missing' for name in ('probe', 'losses') if name not in tensors
    ]
    if not any(name.startswith(WEIGHTS) for name in tensors):
        faults.append('there are no weights')
    for name, array in tensors.items():
        fault = _fault(name, array, frame_size)
        if fault:
            faults.append(f'{name} {fault}')
    return faults


def _fault(name: str, array: npt.NDArray[Any], frame_size: int) -> str:
    if name == 'losses':
        if array.dtype != np.float64 or array.ndim != 2 or array.shape[1] != 2:
            return f'must be float64 (epochs, 2), it is {array.dtype} {array.shape}'
        return 'holds an infinite value' if np.isinf(array).any() else ''
    if name == 'probe':
        if array.dtype != np.float32 or array.ndim != 4 or array.shape[3] != 2 or not array.size:
            return f'must be float32 (modes, N, N, 2), it is {array.dtype} {array.shape}'
        if array.shape[1:3] != (frame_size, frame_size):
            return f'has {array.shape[1]} x {array.shape[2]} pixels, the manifest says {frame_size}'
    elif not name.startswith(WEIGHTS):
        return 'is not an array of a model file'
    elif array.dtype != np.float32:
        return f'must be float32, it is {array.dtype}'
    return '' if np.isfinite(array).all() else 'holds values that are not finite'
