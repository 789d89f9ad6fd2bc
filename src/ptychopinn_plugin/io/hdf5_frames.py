"""Frames that stay in an HDF5 file."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.frame_files import temporary_frames
from ptychopinn_plugin.scan.frame_source import ContiguousFrames

# Of a dataset in chunks, read at a time.
BLOCK_BYTES = 16 * 2**20


def open_hdf5_frames(path: Path, name: str) -> tuple[ContiguousFrames, bool]:
    """Return the frames of a dataset where the file has them, or else a temporary copy.

    A dataset that is neither compressed nor in chunks is read in place. Any other one is copied
    once: its chunks hold parts of many frames, as h5py makes them, so that a few frames could only
    be read with many others.

    Args:
        path: an HDF5 file whose headers were checked, see `hdf5_faults`.
        name: of a dataset (n, H, W).

    Returns:
        The frames, and whether they are a copy.

    Raises:
        ScanDataError: the dataset has another shape, or a copy finds no room.
    """
    # Registers the filters of detectors, such as bitshuffle, where it is installed.
    with contextlib.suppress(ImportError):
        importlib.import_module('hdf5plugin')
    with h5py.File(path, 'r') as file:
        dataset: Any = file[name]
        if dataset.ndim != 3 or dataset.dtype.kind not in 'uif':
            raise ScanDataError(
                [
                    f'{path}, {name!r} must hold real numbers of shape (n, N, N), got '
                    f'{dataset.dtype} {dataset.shape}'
                ]
            )
        offset = None if dataset.is_virtual or dataset.chunks else dataset.id.get_offset()
        if offset is not None:
            # Behind a link the dataset may lie in another file.
            stored = Path(dataset.file.filename).open('rb', buffering=0)  # noqa: SIM115
            return ContiguousFrames(stored, offset, dataset.shape, dataset.dtype), False
        what = f'{path}, {name!r}'
        return temporary_frames(what, _blocks(dataset), dataset.shape, dataset.dtype), True


def _blocks(dataset: h5py.Dataset) -> Iterator[tuple[tuple[slice, ...], npt.NDArray[Any]]]:
    """Yield (where, values) of all parts of a dataset, each chunk read once."""
    frames, height, width = dataset.shape
    chunk = dataset.chunks or (1, height, width)
    # As many rows of whole chunks as a block holds, and further frames where there is room.
    rows = _multiple(chunk[1], BLOCK_BYTES, dataset.dtype.itemsize * chunk[0] * width, height)
    together = _multiple(chunk[0], BLOCK_BYTES, dataset.dtype.itemsize * rows * width, frames)
    for first in range(0, frames, together):
        for top in range(0, height, rows):
            place = (slice(first, first + together), slice(top, top + rows), slice(None))
            yield place, dataset[place]


def _multiple(step: int, room: int, nbytes: int, most: int) -> int:
    """Return the multiple of a step whose size fits into a room, one step at least."""
    return min(max(step, room // max(nbytes, 1) // step * step), math.ceil(most / step) * step)
