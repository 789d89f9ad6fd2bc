"""Rows of a dataset that grows: those of its own file, or a virtual dataset's in several files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.growing_dataset import GrowingDataset
from ptychopinn_plugin.io.virtual_rows import RowSource
from ptychopinn_plugin.io.writer_state import WriterState

Integers = npt.NDArray[np.int64]
Values = npt.NDArray[Any]

# Numbered files that may come before one of a lower number.
FILES_AHEAD = 16


@dataclass(eq=False)
class _Part:
    """A file with rows of a virtual dataset.

    Attributes:
        source: which rows.
        data: its dataset.
        read: rows so far.
    """

    source: RowSource
    data: GrowingDataset
    read: int = 0

    @property
    def is_read(self) -> bool:
        """Whether all its rows were read."""
        return self.read == self.source.rows.count

    def new_rows(self, most: int) -> tuple[Integers, Values] | None:
        """Return new rows with their numbers in the virtual dataset."""
        found = self.data.new_rows(most)
        if found is None:
            return None
        places, count = found[0] - self.source.first, self.source.rows.count
        taken = (places >= 0) & (places < (np.inf if count is None else count))
        self.read += int(taken.sum())
        # A file without the mark of a writer could not be opened for more rows while it is read.
        if self.is_read or self.data.writer() == 'unknown':
            self.data.close()
        return self.source.rows.rows(places[taken]), found[1][taken]


@dataclass(eq=False)
class VirtualRows:
    """Reads the rows of a virtual dataset from its files as they are written, each once.

    Not through HDF5, which gives fill values for a file that is not there and for rows that are not
    written yet, and does not say which they are.

    Attributes:
        path: the file of the virtual dataset.
        sources: its files; those that are numbered have no end.
        external_files: whether they may lie in other folders.
    """

    path: Path
    sources: Sequence[RowSource]
    external_files: bool = False
    _parts: list[_Part] = field(init=False)
    # Of numbered files, how many blocks were added.
    _blocks: dict[int, int] = field(init=False)
    _turn: int = 0
    _count: int = 0
    _last: int = -1

    def __post_init__(self) -> None:
        """Begin with the files that are known.

        Raises:
            ScanDataError: a file lies in another folder.
        """
        self._parts = [self._part(one) for one in self.sources if not one.is_numbered]
        numbered = (place for place, one in enumerate(self.sources) if one.is_numbered)
        self._blocks = dict.fromkeys(numbered, 0)

    def new_rows(self, most: int) -> tuple[Integers, Values] | None:
        """Return numbers int64 (b,) and values (b, ...) of rows that were written since.

        Args:
            most: rows of a file at a time; further files are read until there are as many.
        """
        self._add_numbered()
        found: list[tuple[Integers, Values]] = []
        for _ in range(len(self._parts)):
            self._turn = (self._turn + 1) % len(self._parts)
            part = self._parts[self._turn]
            rows = None if part.is_read else part.new_rows(most)
            if rows is not None and len(rows[0]):
                found.append(rows)
            if sum(len(numbers) for numbers, _ in found) >= most:
                break
        if not found:
            return None
        shapes = {values.shape[1:] for _, values in found}
        if len(shapes) > 1:
            raise ScanDataError([f'the files of {self.path} hold frames of shapes {shapes}'])
        numbers = np.concatenate([numbers for numbers, _ in found])
        self._count += len(numbers)
        self._last = max(self._last, int(numbers.max()))
        return numbers, np.concatenate([values for _, values in found])

    @property
    def found(self) -> bool:
        """Whether anything was read."""
        return self._count > 0

    @property
    def rows_without_values(self) -> int:
        """Number of rows before the last one that was read that were not."""
        return self._last + 1 - self._count

    @property
    def waiting_for(self) -> str:
        """Why nothing was read yet; '' once something was."""
        if self.found:
            return ''
        why = self._parts[0].data.waiting_for if self._parts else self.sources[0].filename
        return f'the files of {self.path} hold no frame yet ({why})'

    def writer(self) -> WriterState:
        """Return whether a process is writing one of the files; closed once all was read."""
        if not self._blocks and all(part.is_read for part in self._parts):
            return 'closed'
        open_ones = (part.data.writer() for part in self._parts if not part.is_read)
        return 'writing' if 'writing' in open_ones else 'unknown'

    def is_gone(self) -> bool:
        """Return whether a file that was read in part is no longer in its place."""
        return any(part.data.is_gone() for part in self._parts if not part.is_read)

    def close(self) -> None:
        """Close the files."""
        for part in self._parts:
            part.data.close()

    def _add_numbered(self) -> None:
        """Add files that have appeared, and those of lower numbers, which may come later."""
        for place, known in self._blocks.items():
            one = self.sources[place]
            coming = [self._part(one.block(known + ahead)) for ahead in range(FILES_AHEAD)]
            there = [ahead + 1 for ahead, part in enumerate(coming) if part.data.path.exists()]
            if there:
                self._parts += coming[: there[-1]]
                self._blocks[place] += there[-1]

    def _part(self, source: RowSource) -> _Part:
        """Return a source with its dataset, which need not be there yet.

        Raises:
            ScanDataError: it lies in another folder, which is not to be read.
        """
        name = source.filename
        if not self.external_files and Path(name).name != name:
            raise ScanDataError(
                [
                    f'{self.path} leads to the file {name!r} in another folder, which is read '
                    'with external_files only'
                ]
            )
        path = self.path if name == '.' else self.path.parent / name
        return _Part(source, GrowingDataset(path, [source.dataset]))


@dataclass(eq=False)
class GrowingRows:
    """Reads the rows of a dataset as they are written, stored in its file or in others.

    Attributes:
        path: the file; it need not be there yet.
        names: of the dataset; the first one that is in the file is taken.
        external_files: whether a virtual dataset may have its rows in other folders.
    """

    path: Path
    names: Sequence[str]
    external_files: bool = False
    _dataset: GrowingDataset = field(init=False)
    _rows: GrowingDataset | VirtualRows | None = None

    def __post_init__(self) -> None:
        """Look for the dataset later."""
        self._dataset = GrowingDataset(self.path, self.names, takes_virtual=True)

    @property
    def rows(self) -> GrowingDataset | VirtualRows:
        """Where the rows come from."""
        return self._rows or self._dataset

    def new_rows(self, most: int) -> tuple[Integers, Values] | None:
        """Return numbers int64 (b,) and values (b, ...) of rows that were written since.

        Args:
            most: rows at a time.
        """
        if self._rows is None:
            sources = self._dataset.sources()
            if sources is None:
                return None
            self._rows = self._dataset
            if sources:
                self._dataset.close()
                self._rows = VirtualRows(self.path, sources, self.external_files)
        return self._rows.new_rows(most)
