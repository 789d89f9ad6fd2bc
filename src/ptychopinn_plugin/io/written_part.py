"""What is written so far of HDF5 files that other programs are writing (SWMR), as files to read."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.fill_values import rows_with_values
from ptychopinn_plugin.io.frame_files import room_for_copies
from ptychopinn_plugin.io.free_memory import gigabytes, memory_fault
from ptychopinn_plugin.io.hdf5_frames import BLOCK_BYTES, check_filters, register_filters
from ptychopinn_plugin.io.hdf5_tree import MOST_OBJECTS, STACK_AXES
from ptychopinn_plugin.io.reading_errors import describe, reading
from ptychopinn_plugin.io.writer_state import SIGNATURE, writer_state


@dataclass(eq=False)
class ReadableFiles:
    """Gives files that no program is writing: a copy of what is written so far for one that is.

    Readers of HDF5 files, those of Ptychodus among them, cannot open a file that is being written.
    A copy is gone at the end of the `with`; what is open then can still be read.

    Attributes:
        with_frames: False copies the first frame of each stack only, for its shape.
        decisions: what was copied, a sentence for each file.
    """

    with_frames: bool = True
    decisions: list[str] = field(default_factory=list)
    _copies: dict[Path, Path] = field(default_factory=dict)
    _folders: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the copies, and let an error name the files that they are of."""
        self._folders.close()
        if isinstance(error, ScanDataError) and self._copies:
            faults = [self.with_given_names(fault) for fault in error.faults]
            raise ScanDataError(faults, self.with_given_names(error.source)) from error

    def readable(self, path: Path) -> Path:
        """Return the path itself, or that of a copy of what is written so far.

        Raises:
            ScanDataError: a program is writing the file and does not let others read it (SWMR), or
                the copy does not fit.
        """
        if path in self._copies:
            return self._copies[path]
        if not _is_being_written(path):
            return path
        folder = self._folders.enter_context(
            tempfile.TemporaryDirectory(prefix='ptychopinn-', ignore_cleanup_errors=True)
        )
        copy = self._copies[path] = Path(folder) / path.name
        what = f'{path} is being written and cannot be read so far'
        with reading(lambda text: ScanDataError([text]), what):
            said = _Copying(path, with_frames=self.with_frames).to(copy)
        self.decisions.append(
            f'{path.name} is still being written, or its writer ended without closing it; what it '
            f'holds so far was copied and is read: {said}'
        )
        return copy

    def with_given_names(self, text: str) -> str:
        """Return a text that names the files that were given, not their copies."""
        for path, copy in self._copies.items():
            text = text.replace(str(copy), str(path))
        return text


def _is_being_written(path: Path) -> bool:
    """Return whether a file is open in a program that lets others read it meanwhile."""
    try:
        with path.open('rb') as file:
            if file.read(len(SIGNATURE)) != SIGNATURE:
                return False
        with h5py.File(path, 'r'):
            return False
    except IsADirectoryError:
        return False
    except OSError as error:
        # Other errors are for the reader of the file to report.
        is_locked, is_marked = isinstance(error, BlockingIOError), writer_state(path) == 'writing'
    if not (is_locked or is_marked):
        return False
    try:
        with h5py.File(path, 'r', libver='latest', swmr=True):
            return True
    except (OSError, RuntimeError) as error:
        raise ScanDataError(
            [
                f'{path} is open for writing in another program, which does not let others read '
                f'it meanwhile ({describe(error)}); read it once it is closed, or write it with '
                'SWMR (single writer, multiple readers)'
            ]
        ) from error


class _Copying:
    """One file that is copied.

    Args:
        path: the file.
        with_frames: see `ReadableFiles`.
    """

    def __init__(self, path: Path, *, with_frames: bool) -> None:
        self._path, self._with_frames = path, with_frames
        self._free_bytes = float(room_for_copies())
        # Names in the copy, by the addresses of objects, which may have several names.
        self._names: dict[int, str] = {}
        self._stacks: list[h5py.Dataset] = []
        self._tables: list[h5py.Dataset] = []
        self._elsewhere: list[str] = []

    def to(self, target: Path) -> str:
        """Copy the file; return which frames it holds."""
        register_filters()
        with (
            h5py.File(self._path, 'r', libver='latest', swmr=True) as source,
            h5py.File(target, 'w', libver='latest') as copy,
        ):
            self._copy_group(source, copy)
            lengths = {int(stack.shape[0]) for stack in self._stacks}
            frames = {stack.shape[1:] for stack in self._stacks}
            said = [self._copy_stack(stack, copy) for stack in self._stacks]
            self._copy_tables(copy, lengths, frames)
        said += [f'without {name}, which lies in another file' for name in self._elsewhere]
        return '; '.join(said) or 'no frames'

    def _copy_group(self, source: h5py.Group, copy: h5py.Group) -> None:
        """Make the groups and links of the copy; keep the datasets for later."""
        self._names[_address(source)] = source.name
        _copy_attributes(source, copy)
        for name in list(source):
            link = source.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                copy[name] = h5py.SoftLink(link.path)
            elif isinstance(link, h5py.ExternalLink):
                self._elsewhere.append(f'{source.name}/{name}')
            else:
                self._copy_object(source[name], copy, name)

    def _copy_object(self, item: object, copy: h5py.Group, name: str) -> None:
        if not isinstance(item, h5py.Group | h5py.Dataset):
            return
        known = self._names.get(_address(item))
        if known is not None:
            # A soft link: a dataset is copied after all groups.
            copy[name] = h5py.SoftLink(known)
            return
        if len(self._names) > MOST_OBJECTS:
            raise ScanDataError([f'{self._path} holds more than {MOST_OBJECTS} objects'])
        if isinstance(item, h5py.Group):
            self._copy_group(item, copy.create_group(name))
            return
        self._names[_address(item)] = item.name
        if item.external or item.is_virtual:
            self._elsewhere.append(item.name)
        elif len(item.shape or ()) >= STACK_AXES and item.dtype.kind in 'uif':
            item.refresh()
            self._stacks.append(item)
        else:
            item.refresh()
            self._tables.append(item)

    def _copy_stack(self, stack: h5py.Dataset, copy: h5py.File) -> str:
        """Copy the frames up to the last one that was written."""
        check_filters(stack, f'{self._path}, {stack.name!r}')
        frame = stack.shape[1:]
        stored = _stored_rows(stack) if self._with_frames else min(1, stack.shape[0])
        frame_bytes = max(1, stack.dtype.itemsize * int(np.prod(frame)))
        self._reserve(stack.name, float(stored) * frame_bytes)
        target = copy.create_dataset(
            stack.name,
            (0, *frame),
            stack.dtype,
            maxshape=(None, *frame),
            chunks=(1, *(max(1, side) for side in frame)),
            fillvalue=stack.fillvalue,
        )
        _copy_attributes(stack, target)
        written, step = 0, max(1, BLOCK_BYTES // frame_bytes)
        for start in range(0, stored, step):
            rows = stack[start : min(start + step, stored)]
            target.resize(start + len(rows), axis=0)
            target[start:] = rows
            kept = np.flatnonzero(rows_with_values(rows, stack.fillvalue))
            written = start + int(kept[-1]) + 1 if len(kept) else written
        if self._with_frames:
            target.resize(written, axis=0)
        return f'{written} frames of {stack.name}'

    def _copy_tables(
        self, copy: h5py.File, lengths: set[int], frames: set[tuple[int, ...]]
    ) -> None:
        """Copy all that is no stack, tables of frames up to the last row that was written.

        Args:
            copy: the copy.
            lengths: of the stacks, written or not.
            frames: shapes of their frames.
        """
        read = [(table, self._read_table(table)) for table in self._tables]
        shortest: dict[object, int] = {}
        grown: dict[str, npt.NDArray[Any]] = {}
        for table, values in read:
            if not _lists_frames(table, lengths, frames):
                continue
            kept = np.flatnonzero(rows_with_values(values, table.fillvalue))
            grown[table.name] = values = values[: int(kept[-1]) + 1 if len(kept) else 0]
            if len(values):
                # Coordinates are written one after the other: the last may be there in part.
                key = (table.parent.name, values.dtype.str, values.shape[1:])
                shortest[key] = min(len(values), shortest.get(key, len(values)))
        for table, values in read:
            if table.name in grown:
                values = grown[table.name]
                key = (table.parent.name, values.dtype.str, values.shape[1:])
                values = values[: shortest.get(key, 0)]
            _copy_attributes(table, copy.create_dataset(table.name, data=values))

    def _read_table(self, table: h5py.Dataset) -> npt.NDArray[Any]:
        nbytes = float(table.dtype.itemsize) * float(table.size or 0)
        if fault := memory_fault(f'{self._path}, {table.name!r}', 2.0 * nbytes):
            raise ScanDataError([fault])
        self._reserve(table.name, nbytes)
        values: npt.NDArray[Any] = h5py.Empty(table.dtype) if table.shape is None else table[()]
        return values

    def _reserve(self, name: str, nbytes: float) -> None:
        if nbytes > self._free_bytes:
            raise ScanDataError(
                [
                    f'{self._path} is being written and is copied for that; {name!r} needs '
                    f'{gigabytes(nbytes)} of {tempfile.gettempdir()}, where '
                    f'{gigabytes(max(self._free_bytes, 0.0))} are left; set TMPDIR to a folder '
                    'with more'
                ]
            )
        self._free_bytes -= nbytes


def _lists_frames(table: h5py.Dataset, lengths: set[int], frames: set[tuple[int, ...]]) -> bool:
    """Return whether a table has a row for each frame, as positions have."""
    if table.dtype.kind not in 'uif' or len(table.shape or ()) not in (1, 2):
        return False
    grows = table.maxshape[0] is None
    return (grows or table.shape[0] in lengths) and table.shape not in frames


def _stored_rows(dataset: h5py.Dataset) -> int:
    """Return the number of rows up to the last one that has room in the file."""
    if not dataset.chunks:
        return int(dataset.shape[0])
    ends = [0]

    def keep(chunk: h5py.h5d.StoreInfo) -> None:
        ends.append(int(chunk.chunk_offset[0]) + dataset.chunks[0])

    try:
        dataset.id.chunk_iter(keep)
    except (RuntimeError, AttributeError):
        # The index of chunks is being changed.
        return int(dataset.shape[0])
    return min(max(ends), int(dataset.shape[0]))


def _copy_attributes(source: h5py.HLObject, target: h5py.HLObject) -> None:
    for name in list(source.attrs):
        # References and types of other programs: no reader here needs them.
        with contextlib.suppress(OSError, RuntimeError, TypeError, ValueError):
            target.attrs[name] = source.attrs[name]


def _address(item: h5py.HLObject) -> int:
    return int(h5py.h5o.get_info(item.id).addr)
