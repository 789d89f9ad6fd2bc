"""Files that appear in a folder one after the other, the last number of each name its own."""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.hdf5_checks import find_dataset, hdf5_faults
from ptychopinn_plugin.io.hdf5_links import ForeignStorageError
from ptychopinn_plugin.io.npy_stream import read_npy
from ptychopinn_plugin.io.reading_errors import DAMAGE, describe
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.io.tiff_frames import read_tiff

Stack = npt.NDArray[Any]
SHOWN_FILES = 3
# Of files that may get more frames while they look complete: seconds without a change.
SETTLED_S = 0.5
APPENDED_ENDINGS = ('.tif', '.tiff')


class _UnfinishedError(Exception):
    """A file is still being written, or damaged."""


@dataclass(eq=False)
class NumberedFiles:
    """Reads each file of a folder once, as soon as it is complete.

    Files whose names begin with a dot, have no number or another ending are left alone.

    Attributes:
        folder: it need not be there yet.
        external_files: whether links of HDF5 files may lead to any file, see `load_scan`.
    """

    folder: Path
    external_files: bool = False
    _read: set[str] = field(default_factory=set)
    _unfinished: dict[str, str] = field(default_factory=dict)
    _looks: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)

    def read_new(self, datasets: Sequence[str]) -> Iterator[tuple[Path, int, Stack]]:
        """Yield path, number and frames (n, H, W) of files that were not read so far.

        Args:
            datasets: where HDF5 files have their frames.

        Raises:
            ScanDataError: a complete file holds no frames.
        """
        for number, name in sorted(self._waiting_names()):
            path = self.folder / name
            if fault := why_not_a_file(path):
                raise ScanDataError([fault])
            if not self._has_settled(path):
                self._unfinished[name] = 'it was changed a moment ago'
                continue
            try:
                frames = READERS[path.suffix.lower()](path, datasets, self.external_files)
            except _UnfinishedError as error:
                self._unfinished[name] = str(error)
                continue
            self._unfinished.pop(name, None)
            self._read.add(name)
            yield path, number, _stacked(path, frames)

    def waiting_for(self) -> str:
        """Return why nothing was read yet."""
        if not self.folder.is_dir():
            return f'there is no folder {self.folder}'
        found = self.left_out()
        endings = ', '.join(READERS)
        return found[0] if found else f'{self.folder} has no numbered file ({endings})'

    def left_out(self) -> list[str]:
        """Return the files that could not be read, as one sentence."""
        if not self._unfinished:
            return []
        shown = [f'{name} ({reason})' for name, reason in self._unfinished.items()][:SHOWN_FILES]
        more = len(self._unfinished) - len(shown)
        rest = f' and {more} more' if more else ''
        return [f'of {self.folder} could not be read: {", ".join(shown)}{rest}']

    def _has_settled(self, path: Path) -> bool:
        """Return whether a file that pages may be appended to stayed as it is for a moment."""
        if path.suffix.lower() not in APPENDED_ENDINGS:
            return True
        try:
            status = path.stat()
        except OSError:
            return False
        # Not the age of the file: clocks of other machines differ.
        now, found = time.monotonic(), (status.st_size, status.st_mtime_ns)
        last, since = self._looks.get(path.name, (None, now))
        if last != found:
            since = now
        self._looks[path.name] = (found, since)
        return now - since >= SETTLED_S

    def _waiting_names(self) -> Iterator[tuple[int, str]]:
        """Yield number and name of the files that were not read."""
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry in entries if entry.name not in self._read]
        except OSError:
            return
        for name in names:
            path = Path(name)
            numbers = re.findall(r'\d+', path.stem)
            if numbers and path.suffix.lower() in READERS and not name.startswith('.'):
                yield int(numbers[-1]), name


def _npy_frames(path: Path, _datasets: Sequence[str], _external_files: bool) -> Stack:
    """Return the array of an .npy file.

    Raises:
        _UnfinishedError: it is shorter than its header says, or no array.
    """
    try:
        return read_npy(path)
    except DAMAGE as error:
        raise _UnfinishedError(describe(error)) from error


def _tiff_frames(path: Path, _datasets: Sequence[str], _external_files: bool) -> Stack:
    """Return the frames of a TIFF file.

    Raises:
        _UnfinishedError: it is not complete, or no TIFF.
        ScanDataError: it holds no frames of one shape.
    """
    try:
        return read_tiff(path)
    except ScanDataError:
        raise
    except (*DAMAGE, IndexError, struct.error) as error:
        raise _UnfinishedError(describe(error)) from error


def _hdf5_frames(path: Path, datasets: Sequence[str], external_files: bool) -> Stack:
    """Return the frames of an HDF5 file.

    Raises:
        _UnfinishedError: it cannot be opened, or lacks the dataset.
        ScanDataError: they lie in another file.
    """
    try:
        find = partial(find_dataset, path, external_files=external_files)
        found = [name for name in datasets if find(name) is not None][:1]
        if not found:
            raise _UnfinishedError(f'it has no dataset {", ".join(datasets)}')
        if faults := hdf5_faults(path, found, (), external_files=external_files):
            raise ScanDataError(faults)
        with h5py.File(path, 'r') as file:
            return np.asarray(file[found[0]][()])
    except ScanDataError:
        raise
    except ForeignStorageError as error:
        raise ScanDataError([f'{path}: {error}']) from error
    except DAMAGE as error:
        raise _UnfinishedError(describe(error)) from error


def _stacked(path: Path, frames: Stack) -> Stack:
    """Return frames as (n, H, W)."""
    stack = frames[None] if frames.ndim == 2 else frames
    if stack.ndim != 3 or stack.dtype.kind not in 'uif':
        raise ScanDataError(
            [
                f'{path} must hold a frame (N, N) or frames (n, N, N) of real numbers, got '
                f'{frames.dtype} {frames.shape}'
            ]
        )
    return stack


READERS: dict[str, Callable[[Path, Sequence[str], bool], Stack]] = {
    '.npy': _npy_frames,
    '.h5': _hdf5_frames,
    '.hdf5': _hdf5_frames,
    '.nxs': _hdf5_frames,
    '.cxi': _hdf5_frames,
    '.tif': _tiff_frames,
    '.tiff': _tiff_frames,
}
"""The endings of files with frames, and what reads one; a new kind is one row."""
