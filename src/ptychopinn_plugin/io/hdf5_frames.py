"""Frames that stay in an HDF5 file."""

from __future__ import annotations

import contextlib
import importlib
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError, printable_line
from ptychopinn_plugin.io.frame_files import room_for_copies, temporary_frames
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.scan.frame_source import ContiguousFrames, FrameSource

# Of a dataset in chunks, read at a time.
BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True, eq=False)
class ChunkedFrames:
    """Frames of a dataset that is compressed frame by frame, each decompressed when it is read.

    Attributes:
        file: open for reading.
        dataset: (n, H, W) of it.
    """

    file: h5py.File
    dataset: h5py.Dataset

    def __post_init__(self) -> None:
        """Close the file with the last scan that has frames in it."""
        weakref.finalize(self, self.file.close)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, H, W)."""
        frames, height, width = self.dataset.shape
        return frames, height, width

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the stored values."""
        dtype: np.dtype[Any] = self.dataset.dtype
        return dtype

    def read(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return frames (b, H, W) as stored.

        Raises:
            ScanDataError: a chunk is damaged.
        """
        values = np.empty((len(frames), *self.shape[1:]), self.dtype)
        for place, frame in enumerate(frames.tolist()):
            with reading(_refusal, f'frame {frame} cannot be read'):
                self.dataset.read_direct(values, np.s_[frame], np.s_[place])
        return values


def _refusal(text: str) -> ScanDataError:
    return ScanDataError([text])


def open_hdf5_frames(path: Path, name: str) -> tuple[FrameSource, bool]:
    """Return the frames of a dataset where the file has them, or else a temporary copy.

    Read in place are a dataset without chunks and one in chunks of whole frames that is not
    compressed. Any other one is copied once: its chunks hold parts of many frames, as h5py makes
    them, so that a few frames could only be read with others, or each use would decompress them
    anew. Where a copy finds no room, frames that are compressed one by one, as detectors write
    them, are decompressed at each use all the same.

    Args:
        path: an HDF5 file whose headers were checked, see `hdf5_faults`.
        name: of a dataset (n, H, W).

    Returns:
        The frames, and whether they are a copy.

    Raises:
        ScanDataError: the dataset has another shape or a filter that is not installed, or a copy
            finds no room.
    """
    what = f'{path}, {name!r}'
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_with_filters(path))
        dataset: h5py.Dataset = file[name]
        if dataset.ndim != 3 or dataset.dtype.kind not in 'uif':
            raise ScanDataError(
                [
                    f'{what} must hold real numbers of shape (n, N, N), got {dataset.dtype} '
                    f'{dataset.shape}'
                ]
            )
        check_filters(dataset, what)
        if _are_compressed_one_by_one(dataset) and dataset.nbytes > room_for_copies():
            # The file stays open as long as the frames are used.
            stack.pop_all()
            return ChunkedFrames(file, dataset), False
        return _uncompressed(dataset) or _copy(dataset, what)


def open_with_filters(path: Path) -> h5py.File:
    """Open a file for reading, with the filters of detectors where they are installed.

    Raises:
        OSError: HDF5 cannot open it.
    """
    register_filters()
    return h5py.File(path, 'r')


def register_filters() -> None:
    """Let HDF5 know the filters of detectors, such as bitshuffle, where they are installed."""
    with contextlib.suppress(ImportError):
        importlib.import_module('hdf5plugin')


def check_filters(dataset: h5py.Dataset, what: str) -> None:
    """Refuse a dataset whose chunks cannot be decompressed here.

    Args:
        dataset: an open one.
        what: the dataset, for messages.

    Raises:
        ScanDataError: a filter is not installed.
    """
    properties = dataset.id.get_create_plist()
    for index in range(properties.get_nfilters()):
        number, _, _, name = properties.get_filter(index)
        if not h5py.h5z.filter_avail(number):
            known = printable_line(name.decode('utf-8', 'replace'), 80)
            raise ScanDataError(
                [
                    f'{what} is compressed with {known or "a filter"} (HDF5 filter {number}), '
                    'which is not installed; install it with: pip install hdf5plugin'
                ]
            )


def _has_filters(dataset: h5py.Dataset) -> bool:
    return bool(dataset.id.get_create_plist().get_nfilters())


def _are_compressed_one_by_one(dataset: h5py.Dataset) -> bool:
    return _has_filters(dataset) and dataset.chunks == (1, *dataset.shape[1:])


def _uncompressed(dataset: h5py.Dataset) -> tuple[FrameSource, bool] | None:
    """Return the frames where they lie in the file as they are, None where they do not."""
    if dataset.is_virtual or not dataset.shape[0]:
        return None
    places = None
    if dataset.chunks:
        places = _places(dataset)
        offset = None if places is None else 0
    else:
        offset = dataset.id.get_offset()
    if offset is None:
        return None
    # Behind a link the dataset may lie in another file.
    stored = Path(dataset.file.filename).open('rb', buffering=0)  # noqa: SIM115
    return ContiguousFrames(stored, offset, dataset.shape, dataset.dtype, places), False


def _places(dataset: h5py.Dataset) -> npt.NDArray[np.int64] | None:
    """Return where the frames of uncompressed chunks begin, int64 (n,), bytes; None without."""
    together, *sides = dataset.chunks
    # Addresses of chunks count from behind a user block.
    if tuple(sides) != dataset.shape[1:] or _has_filters(dataset) or dataset.file.userblock_size:
        return None
    starts = np.full(math.ceil(len(dataset) / together), -1, np.int64)

    def keep(chunk: h5py.h5d.StoreInfo) -> None:
        starts[chunk.chunk_offset[0] // together] = chunk.byte_offset

    dataset.id.chunk_iter(keep)
    # A chunk that was never written has a default value and no place.
    if (starts < 0).any():
        return None
    frames = np.arange(len(dataset), dtype=np.int64)
    nbytes: int = dataset.dtype.itemsize * math.prod(sides)
    places: npt.NDArray[np.int64] = starts[frames // together] + nbytes * (frames % together)
    return places


def _copy(dataset: h5py.Dataset, what: str) -> tuple[FrameSource, bool]:
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
