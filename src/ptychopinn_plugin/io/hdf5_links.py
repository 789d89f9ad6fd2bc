"""Which file a link or a dataset of an HDF5 file leads to, and whether it may be read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import h5py

from ptychopinn_plugin.io.regular_file import why_not_a_file

# Of the environment, where HDF5 looks first.
Prefix: TypeAlias = Literal['HDF5_EXT_PREFIX', 'HDF5_VDS_PREFIX']
READ_THEM = 'scans that need other files are read with load_scan(external_files=True)'
COPY_THEM = 'Copy the data into one file with h5repack or h5copy'


class ForeignStorageError(Exception):
    """A dataset leads to another file, or is not what its header claims."""


def linked_file(
    path: Path, filename: str, name: str, prefix: Prefix, *, external_files: bool
) -> Path:
    """Return the file that HDF5 opens for an external link or a virtual dataset.

    Args:
        path: the file with the link.
        filename: as the link has it.
        name: of what is linked, for messages.
        prefix: 'HDF5_EXT_PREFIX' for an external link, 'HDF5_VDS_PREFIX' for a virtual dataset.
        external_files: whether it may be any file, or one of the same folder only.

    Raises:
        ForeignStorageError: it may not, there is none, or it is a named pipe or a device.
    """
    found = first_file(path, filename, prefix)
    if found is None and (external_files or Path(filename).name == filename):
        where = 'not there' if external_files else 'not in its folder'
        raise ForeignStorageError(f'{name!r} is a link to {filename!r}, which is {where}')
    if found is None or not (external_files or is_beside(path, found)):
        raise ForeignStorageError(
            f'{name!r} is a link to the file {filename!r}; only files of the same folder may be '
            f'linked to. {COPY_THEM}; {READ_THEM}'
        )
    return found


def is_beside(path: Path, other: Path, *, below: bool = False) -> bool:
    """Return whether another file lies in the folder of a file, or with `below` in one below."""
    if '..' in other.parts[len(path.parent.parts) :]:
        return False
    folders = {path.parent, path.resolve().parent}
    return not folders.isdisjoint(other.parents if below else {other.parent})


def first_file(path: Path, filename: str, prefix: Prefix) -> Path | None:
    """Return the file that HDF5 opens for a link; None where there is none.

    Raises:
        ForeignStorageError: HDF5 would come by a named pipe or a device, which it would wait for.
    """
    for place in _places(path, filename, prefix):
        if fault := why_not_a_file(place):
            raise ForeignStorageError(fault)
        if place.is_file():
            return place
    return None


def _places(path: Path, filename: str, prefix: Prefix) -> Iterator[Path]:
    """Yield where HDF5 looks for a linked file, in its order (H5Lcreate_external)."""
    given = Path(filename)
    if given.is_absolute():
        yield given
        # What is not there is looked for by its bare name.
        given = Path(given.name)
    for folder in filter(None, os.environ.get(prefix, '').split(os.pathsep)):
        yield Path(folder) / given
    yield path.parent / given
    yield given
    yield path.resolve().parent / given


def raw_bytes(path: Path, name: str, dataset: h5py.Dataset, *, external_files: bool) -> int:
    """Return how many bytes of a dataset lie in files beside its own that hold nothing else.

    HDF5 takes zeros for what these files lack, so that each is compared with what it has to hold.

    Args:
        path: the file.
        name: of the dataset, for messages.
        dataset: an open one with external storage.
        external_files: whether these files may be read.

    Raises:
        ForeignStorageError: they may not, one is missing, or is shorter than it has to be.
    """
    if not external_files:
        raise ForeignStorageError(
            f'{name!r} lies in the file {dataset.external[0][0]!r} outside of this one, which is '
            f'not read. Copy the data into one file with h5repack; {READ_THEM}'
        )
    needed, found = math.prod(dataset.shape or ()) * dataset.dtype.itemsize, 0
    for filename, offset, size in dataset.external:
        part = min(size, needed - found)
        _check_raw_file(_raw_file(path, filename), name, offset + part)
        found += part
    if found < needed:
        raise ForeignStorageError(f'{name!r} was never stored as a whole: its files are too small')
    return found


def _raw_file(path: Path, filename: str) -> Path:
    """Return the place of a file of external storage (H5Pset_external)."""
    prefix = os.environ.get('HDF5_EXTFILE_PREFIX', '')
    return Path(prefix.replace('${ORIGIN}', str(path.parent), 1)) / filename


def _check_raw_file(file: Path, name: str, nbytes: int) -> None:
    if fault := why_not_a_file(file):
        raise ForeignStorageError(fault)
    if not file.is_file():
        raise ForeignStorageError(
            f'{name!r} lies in the file {str(file)!r}, which is not there; HDF5 looks for it in '
            'the current folder, or in that of HDF5_EXTFILE_PREFIX'
        )
    if file.stat().st_size < nbytes:
        raise ForeignStorageError(
            f'{name!r} lies in the file {str(file)!r}, which has {file.stat().st_size} bytes '
            f'where {nbytes} are needed; copy it anew'
        )
