"""SHA-256 fingerprints: which weights, which probe, which data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.io.model_file.manifest import TrainedModel
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.frame_chunks import frame_chunks


def fingerprint(arrays: Iterable[tuple[str, npt.NDArray[Any]]]) -> str:
    """Return the SHA-256 of named arrays: names, dtypes, shapes and little-endian values."""
    digest = hashlib.sha256()
    for name, array in arrays:
        # The same bytes on every machine.
        dtype = array.dtype.newbyteorder('<')
        digest.update(f'{name}|{dtype.str}|{array.shape}|'.encode())
        parts = frame_chunks(array) if array.ndim else [(0, array)]
        for _, part in parts:
            digest.update(np.asarray(part, order='C', dtype=dtype).tobytes())
    return digest.hexdigest()


def weights_fingerprint(model: TrainedModel) -> str:
    """Return the fingerprint of a model's weights; it names the model in results."""
    # Sorted, because the order of the arrays is no part of a model.
    return fingerprint(sorted(model.weights.items()))


def probe_fingerprint(probe: npt.NDArray[np.complex64]) -> str:
    """Return the fingerprint of a probe, complex64 (modes, N, N)."""
    return fingerprint([('probe', probe)])


def data_fingerprint(scans: Sequence[ScanData]) -> str:
    """Return the fingerprint of frames, positions, masks and true patches of scans, in order."""
    return fingerprint(
        (f'{number}/{name}', array)
        for number, scan in enumerate(scans)
        for name, array in (
            ('counts', scan.counts),
            ('positions_px', scan.positions_px),
            ('mask', scan.mask),
            ('true_patches', scan.true_patches),
        )
        if array is not None
    )
