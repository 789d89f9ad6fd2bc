"""Frames in a file of their own: an .npy, or a dataset of an HDF5 file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.frame_files import (
    FramesInMemory,
    left_in_file,
    reads_into_memory,
    temporary_frames,
)
from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.hdf5_checks import find_dataset, hdf5_faults
from ptychopinn_plugin.io.hdf5_frames import open_hdf5_frames
from ptychopinn_plugin.io.npy_stream import ArrayHeader, read_blocks, read_header
from ptychopinn_plugin.io.npz_frames import StoredFrames, stored_in_file
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.scan.frame_source import ContiguousFrames, FrameSource

# Where CXI (https://www.cxidb.org/cxi.html), NeXus and Ptychodus have their frames.
USUAL_DATASETS = ('/entry_1/data_1/data', '/entry/data/data', '/patterns')


def read_separate_frames(
    given: str,
    frames_in_memory: FramesInMemory,
    decisions: list[str],
    *,
    external_files: bool = False,
) -> StoredFrames:
    """Return the frames (n, H, W) of a file of their own.

    Args:
        given: an .npy; an HDF5 file; or such a file, a colon and the name of a dataset.
        frames_in_memory: see `load_scan`.
        decisions: how the frames are read is added here.
        external_files: see `load_scan`.

    Raises:
        ScanDataError: there is no such file or dataset, or it holds no frames.
    """
    path, name = split_name(given)
    fault = why_not_a_file(path) or ('' if path.is_file() else f'there is no file {path}')
    if fault:
        raise ScanDataError([fault])
    with reading(lambda text: ScanDataError([text]), f'the frames of {path} cannot be read'):
        if path.suffix == '.npy':
            frames, is_copy = _npy_frames(path)
        else:
            frames, is_copy = _hdf5_frames(path, name, external_files=external_files)
        what = path.name if path.suffix == '.npy' else f'{path.name}, {name!r}'
        stored = stored_in_file(frames, given, 'nhw')
        if reads_into_memory(frames_in_memory, frames.shape):
            if fault := memory_fault(f'{what} {frames.shape}', float(stored.values.nbytes)):
                raise ScanDataError([fault])
            decisions.append(f'frames {frames.dtype} {frames.shape} come from {what}')
            return stored.in_memory()
        decisions.append(left_in_file(what, frames, is_copy=is_copy))
        return stored


def split_name(given: str) -> tuple[Path, str]:
    """Return the path and the name of the dataset, '' where none is named."""
    path, colon, name = given.rpartition(':')
    # A colon may also be part of a path, as in C:\\frames.h5.
    if colon and Path(path).suffix and not Path(given).is_file():
        return Path(path), name
    return Path(given), ''


def _npy_frames(path: Path) -> tuple[FrameSource, bool]:
    with path.open('rb') as stream:
        header = read_header(stream)
        if len(header.shape) != 3 or header.dtype.kind not in 'uif':
            raise ScanDataError(
                [
                    f'{path} must hold real numbers of shape (n, N, N), got {header.dtype} '
                    f'{header.shape}'
                ]
            )
        if stream.tell() + header.nbytes > path.stat().st_size:
            raise ValueError(
                f'it is shorter than the {header.nbytes} bytes of its array: it is cut short or '
                'still being written'
            )
        count, height, width = header.shape
        shape = (count, height, width)
        if not header.fortran_order:
            file = path.open('rb', buffering=0)
            return ContiguousFrames(file, stream.tell(), shape, header.dtype), False
        blocks = _fortran_blocks(stream, header)
        return temporary_frames(str(path), blocks, shape, header.dtype), True


def _fortran_blocks(
    stream: IO[bytes], header: ArrayHeader
) -> Iterator[tuple[tuple[slice, ...], npt.NDArray[Any]]]:
    """Yield (where, values) of all parts of an array in Fortran order."""
    first = 0
    for block in read_blocks(stream, header):
        yield (slice(None), slice(None), slice(first, first + len(block))), block.T
        first += len(block)


def _hdf5_frames(path: Path, name: str, *, external_files: bool) -> tuple[FrameSource, bool]:
    names = [name] if name else list(USUAL_DATASETS)
    found = [
        one for one in names if find_dataset(path, one, external_files=external_files) is not None
    ]
    if not found:
        sought = ', '.join(names)
        raise ScanDataError(
            [f'{path} has no dataset {sought}; name that of the frames, as in {path}:/entry/data']
        )
    faults = hdf5_faults(path, found[:1], (), found[:1], external_files=external_files)
    if faults:
        raise ScanDataError(faults)
    return open_hdf5_frames(path, found[0])
