"""Reading positions, probe, mask and object guess of an .npz."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npy_stream import read_npy
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.npz_frames import FRAME_KEYS
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.scan.data import BoolArray, ComplexArray, PositionArray

Array = npt.NDArray[Any]

# The name in scans, then that in reconstructions.
PROBE_KEYS = ('probeGuess', 'probe')
# More are not read without as many frames; a probe may have more pixels only with large frames.
MANY_POSITIONS = 1_000_000
LARGE_PROBE = 4_000_000
MOST_MODES = 1000


def read_positions(archive: NpzArchive) -> PositionArray:
    """Return positions_px float64 (n, 2), (row, column), from `ycoords` and `xcoords`.

    Raises:
        ScanDataError: a coordinate is missing, not real, not a list, or of another length.
    """
    keys = ('ycoords', 'xcoords')
    faults = [fault for key in keys if (fault := _coordinate_fault(archive, key))]
    if not faults:
        y, x = (math.prod(archive.header(key).shape) for key in keys)
        if y != x:
            faults.append(f'ycoords has {y} values, xcoords {x}; each frame needs one of both')
    if faults:
        raise ScanDataError(faults)
    columns = [archive.read(key).ravel().astype(np.float64) for key in keys]
    return np.stack(columns, axis=1)


def _coordinate_fault(archive: NpzArchive, key: str) -> str:
    """Return what is wrong with the header of a coordinate; '' if it may be read."""
    if key not in archive:
        return f'{key!r} is missing; it gives each frame its position in object pixels'
    header = archive.header(key)
    count = math.prod(header.shape)
    if header.dtype.kind not in 'uif':
        return f'{key!r} must hold real numbers, got {header.dtype}'
    if not header.shape or count != max(header.shape):
        return f'{key!r} must be a list of n numbers, got shape {header.shape}'
    # A few too many are reported with the other faults of the scan.
    if count > MANY_POSITIONS and count not in (frames := _frames_shape(archive)):
        return f'{key!r} has {count} values and the frames have shape {frames}; each frame has one'
    return ''


def _fits(probe: tuple[int, ...], frames: tuple[int, ...]) -> bool:
    """Return whether a probe can have no more modes and pixels than frames of a shape allow."""
    return len(frames) == 3 and math.prod(probe) <= MOST_MODES * frames[1] ** 2


def _frames_shape(archive: NpzArchive) -> tuple[int, ...]:
    """Return the shape of the frames from their header, () without any."""
    for key in FRAME_KEYS:
        if key in archive:
            return archive.header(key).shape
    return ()


def read_probe(archive: NpzArchive, decisions: list[str]) -> ComplexArray:
    """Return the probe, complex64 (modes, N, N).

    Raises:
        ScanDataError: there is none, or it has another form.
    """
    if 'probeGuess' not in archive:
        raise ScanDataError(
            [
                "'probeGuess' is missing; a starting probe is needed, in the file or with "
                'load_scan(probe=...)'
            ]
        )
    shape = archive.header('probeGuess').shape
    # Probes that are a little too large are reported with the other faults of the scan.
    if math.prod(shape) > LARGE_PROBE and not _fits(shape, frames := _frames_shape(archive)):
        raise ScanDataError(
            [f"'probeGuess' has shape {shape} and the frames have shape {frames}; it must be "
             '(N, N) or (modes, N, N) with N pixels as a frame']
        )  # fmt: skip
    return as_probe(archive.read('probeGuess'), 'probeGuess', decisions)


def given_probe(probe: Path | ComplexArray, decisions: list[str]) -> ComplexArray:
    """Return the probe that the user gave as a file or an array, complex64 (modes, N, N).

    Raises:
        ScanDataError: the file cannot be read, or it is no probe.
    """
    if isinstance(probe, np.ndarray):
        return as_probe(probe, 'the given probe', decisions)
    return read_probe_file(Path(probe), decisions)


def read_probe_file(path: Path, decisions: list[str]) -> ComplexArray:
    """Return the probe of an .npz (`probeGuess` or `probe`) or of an .npy file.

    Raises:
        ScanDataError: the file cannot be read or holds no probe.
    """
    decisions.append(f'the probe was taken from {path}')
    if path.suffix.lower() == '.npy':
        what = f'the probe file {path} cannot be read'
        with reading(lambda text: ScanDataError([text]), what):
            return as_probe(read_npy(path), str(path), decisions)
    with NpzArchive(path) as archive:
        for key in PROBE_KEYS:
            if key in archive:
                return as_probe(archive.read(key), f'{key} of {path}', decisions)
        raise ScanDataError([f"{path} holds no probe: neither 'probeGuess' nor 'probe' is in it"])


def as_probe(stored: Array, name: str, decisions: list[str]) -> ComplexArray:
    """Return a probe as complex64 (modes, N, N).

    Taken as they are: (N, N), (modes, N, N), (N, N, 1), (N, N, modes) and (1, modes, N, N).

    Raises:
        ScanDataError: another shape, or no numbers.
    """
    if stored.dtype.kind not in 'uifc':
        raise ScanDataError([f'{name} must hold complex numbers, got {stored.dtype}'])
    probe = stored
    if probe.ndim == 4 and probe.shape[0] == 1:
        probe = probe[0]
    if probe.ndim == 2:
        probe = probe[np.newaxis]
    elif probe.ndim == 3 and probe.shape[0] == probe.shape[1] != probe.shape[2]:
        decisions.append(
            f'{name} {probe.shape} holds its modes on the last axis; they were moved first'
        )
        probe = np.moveaxis(probe, 2, 0)
    if probe.ndim != 3 or probe.shape[0] == 0:
        raise ScanDataError([f'{name} must have shape (N, N) or (modes, N, N), got {stored.shape}'])
    if stored.dtype not in (np.complex64, np.float32):
        decisions.append(f'{name} was cast from {stored.dtype} to complex64')
    with np.errstate(over='ignore', invalid='ignore'):
        return np.ascontiguousarray(probe, dtype=np.complex64)


def read_mask(archive: NpzArchive, shape: tuple[int, int], decisions: list[str]) -> BoolArray:
    """Return `bad_pixels` as bool (H, W), True where bad; no pixel is bad without it.

    Raises:
        ScanDataError: it is no mask of such frames.
    """
    if 'bad_pixels' not in archive:
        return np.zeros(shape, dtype=np.bool_)
    header = archive.header('bad_pixels')
    if header.shape[-2:] != shape or len(header.shape) > 3:
        raise ScanDataError(
            [f"'bad_pixels' must have the shape of a frame, {shape}, got {header.shape}"]
        )
    stored = archive.read('bad_pixels')
    if stored.dtype.kind not in 'bui' or (stored.dtype.kind != 'b' and np.any(stored > 1)):
        raise ScanDataError(
            [f"'bad_pixels' must be true or false a pixel (True is bad), got {stored.dtype}"]
        )
    if stored.ndim == 3 and stored.shape[1:] == shape:
        decisions.append("'bad_pixels' differs from frame to frame; a pixel bad in any is left out")
        stored = np.logical_or.reduce(stored, axis=0)
    return stored.astype(np.bool_)


def read_object_guess(archive: NpzArchive, decisions: list[str]) -> ComplexArray | None:
    """Return `objectGuess` as complex64 (H, W), None without it.

    Raises:
        ScanDataError: it is no image.
    """
    if 'objectGuess' not in archive:
        return None
    stored = archive.read('objectGuess')
    image = stored[0] if stored.ndim == 3 and stored.shape[0] == 1 else stored
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    if image.ndim != 2 or stored.dtype.kind not in 'uifc':
        raise ScanDataError(
            [f"'objectGuess' must be a complex image (H, W), got {stored.dtype} {stored.shape}"]
        )
    if stored.dtype not in (np.complex64, np.float32):
        decisions.append(f'objectGuess was cast from {stored.dtype} to complex64')
    with np.errstate(over='ignore', invalid='ignore'):
        return np.ascontiguousarray(image, dtype=np.complex64)
