"""Refusal of HDF5 files before a reader of another package walks through them.

Only headers are read here.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.hdf5_checks import stored_bytes
from ptychopinn_plugin.io.hdf5_links import (
    READ_THEM,
    ForeignStorageError,
    Prefix,
    first_file,
    is_beside,
)

# Objects that a reader comes by, those of several names counted as often; master files of
# detectors have some thousands.
MOST_OBJECTS = 30_000
MOST_FILES = 20_000
# Stacks of frames have three axes and are read in parts; what has fewer is read as a whole.
STACK_AXES = 3


def tree_faults(path: Path, *, external_files: bool = False) -> list[str]:
    """Return why an HDF5 file must not be given to a reader that walks through it.

    Refused are, unless asked for, links to files outside of its folder and the folders below, and
    external storage; and always groups that contain themselves, datasets whose values were never
    stored, and tables that do not fit into memory. Linked files are looked through as well; one
    that is missing is left to the reader.

    Args:
        path: the file.
        external_files: whether links may lead to any file, see `load_scan`.

    Raises:
        OSError: HDF5 cannot open the file.
    """
    try:
        files, seen = [path], {path.resolve()}
        while files:
            linked = _check_file(files.pop(), external_files=external_files)
            new = [one for one in linked if one.resolve() not in seen]
            seen.update(one.resolve() for one in new)
            files += new
            if len(seen) > MOST_FILES:
                raise ForeignStorageError(f'links to more than {MOST_FILES} files')
    except ForeignStorageError as error:
        return [f'{path}: {error}']
    return []


def _check_file(path: Path, *, external_files: bool) -> list[Path]:
    """Check what a file contains; return the files that it links to."""
    linked: list[Path] = []
    table_bytes, visited = 0, 0
    with h5py.File(path, 'r') as file:
        # Groups with their addresses and those of all groups above them.
        groups: list[tuple[h5py.Group, frozenset[int]]] = [(file, frozenset([_address(file)]))]
        while groups:
            group, above = groups.pop()
            for name in group:
                visited += 1
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    where = f'{group.name}/{name}'
                    linked += _linked_file(
                        path,
                        link.filename,
                        where,
                        'HDF5_EXT_PREFIX',
                        external_files=external_files,
                    )
                if not isinstance(link, h5py.HardLink):
                    continue
                item = group[name]
                if isinstance(item, h5py.Dataset):
                    table_bytes += _check_dataset(path, item, external_files=external_files)
                elif isinstance(item, h5py.Group):
                    if _address(item) in above or visited > MOST_OBJECTS:
                        raise ForeignStorageError(
                            f'{item.name!r} contains itself, or there are more than '
                            f'{MOST_OBJECTS} objects'
                        )
                    groups.append((item, above | {_address(item)}))
    # Beside what is stored, tables become lists of numbers.
    if fault := memory_fault(f'the tables of {path.name}', 2.0 * table_bytes):
        raise ForeignStorageError(fault)
    return linked


def _address(group: h5py.Group) -> int:
    return int(h5py.h5o.get_info(group.id).addr)


def _check_dataset(path: Path, dataset: h5py.Dataset, *, external_files: bool) -> int:
    """Refuse a dataset that is not stored there; return the bytes of one that is no stack."""
    name = str(dataset.name)
    if dataset.is_virtual:
        for source in dataset.virtual_sources():
            if source.file_name != '.':
                _linked_file(
                    path, source.file_name, name, 'HDF5_VDS_PREFIX', external_files=external_files
                )
    nbytes = stored_bytes(path, name, dataset, external_files=external_files)
    return nbytes if len(dataset.shape or ()) < STACK_AXES else 0


def _linked_file(
    path: Path, filename: str, name: str, prefix: Prefix, *, external_files: bool
) -> list[Path]:
    """Return the file of a link, none where it is missing."""
    found = first_file(path, filename, prefix)
    # A name that may not be linked to is refused even where no such file is there.
    place = found or Path(filename)
    is_within = is_beside(path, place if found else path.parent / place, below=True)
    if not (external_files or is_within):
        raise ForeignStorageError(
            f'{name!r} is a link to the file {filename!r}; only files in the folder of '
            f'{path.name} and below may be linked to. Put them there; {READ_THEM}'
        )
    # Files that are no HDF5 are left to the reader, which may not need them.
    return [found] if found and h5py.is_hdf5(found) else []
