"""Refusal of HDF5 files that claim more than they hold, or lead to other files, before reading.

Only headers are read here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.hdf5_links import ForeignStorageError, linked_file, raw_bytes

# Links on the way to a dataset, those to other files included.
MOST_LINKS = 20
# Deflate makes at most 1032 bytes of one; what claims more was never stored.
MOST_EXPANSION = 1100
SMALL_BYTES = 16 * 2**20
MANY_VALUES = 1_000_000


@dataclass(frozen=True)
class StoredDataset:
    """What the header of a dataset says.

    Attributes:
        name: in the file.
        shape: of the array.
        dtype: of the array.
        nbytes: size of the array.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    nbytes: int


def hdf5_faults(
    path: Path,
    arrays: Sequence[str],
    lists: Sequence[str],
    left_in_file: Sequence[str] = (),
    *,
    external_files: bool = False,
) -> list[str]:
    """Return why datasets of an HDF5 file must not be read, one sentence each.

    Taken as they are: external links to a file in the same folder, as the master files of
    detectors have them. Refused are, unless asked for, other links to files and external storage;
    and always datasets whose values were never stored, references and values of variable length,
    and what does not fit into memory. A dataset that is missing is left to the reader.

    Args:
        path: the file.
        arrays: names of datasets that are as large as they need to be.
        lists: names of datasets with one value a frame or a step.
        left_in_file: names of those of them that are not read into memory.
        external_files: whether links may lead to any file, see `load_scan`.

    Raises:
        OSError: HDF5 cannot open the file.
    """
    faults: list[str] = []
    found: dict[str, StoredDataset] = {}
    for name in (*arrays, *lists):
        try:
            stored = find_dataset(path, name, external_files=external_files)
        except ForeignStorageError as error:
            faults.append(f'{path}: {error}')
            continue
        if stored is not None:
            found[name] = stored
    rows = [found[name].shape[0] for name in arrays if name in found and found[name].shape]
    faults += [
        f'{path}: {name!r} has shape {found[name].shape}, and there is not as much to list'
        for name in lists
        if name in found and math.prod(found[name].shape) > max([MANY_VALUES, *rows])
    ]
    read = [stored for name, stored in found.items() if name not in left_in_file]
    largest = max(read, key=lambda one: one.nbytes, default=None)
    # Beside what is stored, the arrays are needed as float32 or complex64.
    nbytes = 2.0 * sum(stored.nbytes for stored in read)
    if largest and (fault := memory_fault(f'{path}, {largest.name!r} {largest.shape}', nbytes)):
        faults.append(fault)
    return faults


def find_dataset(
    path: Path, name: str, links: int = MOST_LINKS, *, external_files: bool = False
) -> StoredDataset | None:
    """Return the header of a dataset, following its links; None where there is none.

    Args:
        path: the file.
        name: of the dataset, a path in the file.
        links: that may still be followed.
        external_files: whether they may lead to any file, see `load_scan`.

    Raises:
        ForeignStorageError: it must not be read, see `hdf5_faults`.
        OSError: HDF5 cannot open a file.
    """
    with h5py.File(path, 'r') as file:
        group: Any = file
        parts = _parts(name)
        while parts:
            part = parts.pop(0)
            # Not `part in group`, which follows the link.
            if not isinstance(group, h5py.Group) or not group.id.links.exists(part.encode()):
                return None
            link = group.get(part, getlink=True)
            if isinstance(link, h5py.HardLink):
                group = group[part]
                continue
            if not links:
                raise ForeignStorageError(f'{name!r} leads through too many links')
            if isinstance(link, h5py.ExternalLink):
                file_of_link = linked_file(
                    path, link.filename, name, 'HDF5_EXT_PREFIX', external_files=external_files
                )
                target, start = file_of_link, ''
            else:
                target, start = path, '' if link.path.startswith('/') else group.name
            rest = '/'.join([start, link.path, *parts])
            return find_dataset(target, rest, links - 1, external_files=external_files)
        return _describe(path, name, group, links, external_files=external_files)


def _parts(name: str) -> list[str]:
    return [part for part in name.split('/') if part not in ('', '.')]


def _describe(
    path: Path, name: str, dataset: object, links: int, *, external_files: bool
) -> StoredDataset | None:
    """Return what a dataset is, or refuse it."""
    if not isinstance(dataset, h5py.Dataset):
        return None
    dtype, shape = dataset.dtype, tuple(dataset.shape or ())
    if dtype.kind not in 'biufc':
        raise ForeignStorageError(f'{name!r} holds {dtype}, where numbers are needed')
    nbytes = stored_bytes(path, name, dataset, links, external_files=external_files)
    return StoredDataset(name, shape, dtype, nbytes)


def stored_bytes(
    path: Path,
    name: str,
    dataset: h5py.Dataset,
    links: int = MOST_LINKS,
    *,
    external_files: bool = False,
) -> int:
    """Return the bytes of an array whose values are stored.

    Args:
        path: the file.
        name: of the dataset, for messages.
        dataset: an open one of h5py.
        links: that may still be followed.
        external_files: whether they may be in any file, see `load_scan`.

    Raises:
        ForeignStorageError: they are in a file that may not be read, or were never stored.
    """
    shape = tuple(dataset.shape or ())
    nbytes: int = math.prod(shape) * dataset.dtype.itemsize
    if dataset.external:
        stored = raw_bytes(path, name, dataset, external_files=external_files)
    elif dataset.is_virtual:
        stored = _source_bytes(path, name, dataset, links, external_files=external_files)
    else:
        stored = MOST_EXPANSION * dataset.id.get_storage_size()
    if nbytes > max(SMALL_BYTES, stored):
        raise ForeignStorageError(
            f'{name!r} of shape {shape} was never stored as a whole: it is '
            f'{nbytes / 2**20:.0f} MiB large, which the file cannot hold'
        )
    return nbytes


def _source_bytes(
    path: Path, name: str, dataset: h5py.Dataset, links: int, *, external_files: bool
) -> int:
    """Return how many bytes of its sources a virtual dataset can show."""
    if not links:
        raise ForeignStorageError(f'{name!r} leads through too many virtual datasets')
    nbytes = 0
    for source in dataset.virtual_sources():
        file = path
        if source.file_name != '.':
            file = linked_file(
                path, source.file_name, name, 'HDF5_VDS_PREFIX', external_files=external_files
            )
        stored = find_dataset(file, source.dset_name, links - 1, external_files=external_files)
        nbytes += stored.nbytes if stored else 0
    return nbytes
