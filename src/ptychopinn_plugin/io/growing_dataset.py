"""A dataset of an HDF5 file that another process is writing (SWMR)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.fill_values import rows_with_values
from ptychopinn_plugin.io.hdf5_frames import register_filters
from ptychopinn_plugin.io.reading_errors import DAMAGE, describe
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.io.virtual_rows import RowSource, row_sources
from ptychopinn_plugin.io.writer_state import WriterState, writer_state

Integers = npt.NDArray[np.int64]
Values = npt.NDArray[Any]

# Rows without values that are read again at a time.
RETRIED_ROWS = 64


@dataclass(eq=False)
class GrowingDataset:
    """Reads the rows of a dataset as they are written, each once.

    A row that holds the dataset's fill value only counts as not written yet: a writer may make
    room before it writes, for one row or for all of them. Such a row is looked at again later.

    Attributes:
        path: the file; it need not be there yet.
        names: of the dataset; the first one that is in the file is taken.
        found: whether the dataset was found so far.
        waiting_for: why nothing can be read yet; '' once it can.
        takes_virtual: whether it may be a virtual dataset, whose `sources` are then to be read.
    """

    path: Path
    names: Sequence[str]
    found: bool = False
    waiting_for: str = 'nothing was looked for yet'
    takes_virtual: bool = False
    _file: Any = None
    _dataset: Any = None
    _next: int = 0
    _late: list[int] = field(default_factory=list)
    _inode: int = 0

    def new_rows(self, most: int) -> tuple[Integers, Values] | None:
        """Return numbers int64 (b,) and values (b, ...) of rows that were written since.

        Args:
            most: rows at a time.

        Returns:
            None where there are none.

        Raises:
            ScanDataError: the dataset is none of numbers, or has become shorter.
        """
        if not self._open():
            return None
        try:
            self._dataset.refresh()
            length = int(self._dataset.shape[0])
            if length < self._next:
                raise ScanDataError(
                    [
                        f'{self.path}, {self._dataset.name!r} became shorter: {self._next} rows '
                        f'were read, and it has {length}'
                    ]
                )
            late = self._read(np.asarray(self._late[:RETRIED_ROWS], np.int64))
            fresh = self._read(np.arange(self._next, min(length, self._next + most)))
        except ScanDataError:
            raise
        except DAMAGE as error:
            # A chunk may be in the making; a damaged file stays so until no more is waited for.
            self.waiting_for = f'{self.path} cannot be read ({describe(error)})'
            return None
        return self._written(late, fresh)

    def sources(self) -> list[RowSource] | None:
        """Return the sources of a virtual dataset, [] for another one; None before it is there.

        Raises:
            ScanDataError: the dataset is none of numbers, or its sources are no whole rows.
        """
        if not self._open():
            return None
        if not self._dataset.is_virtual:
            return []
        return row_sources(self._dataset, f'{self.path}, {self._dataset.name!r}')

    def last_row(self) -> tuple[Integers, Values] | None:
        """Return the only row with the fill value, which it may have by chance.

        Call it when no more is written; None where there is no such row, or several.
        """
        if self._dataset is None:
            return None
        rows = [*self._late, *range(self._next, int(self._dataset.shape[0]))]
        return self._read(np.asarray(rows, np.int64)) if len(rows) == 1 else None

    @property
    def rows_without_values(self) -> int:
        """Number of rows before the last written one that were not written."""
        return len(self._late)

    def writer(self) -> WriterState:
        """Return whether a process is writing the file, as its first bytes say.

        A writer that was killed leaves the file marked as being written.
        """
        return writer_state(self.path)

    def is_gone(self) -> bool:
        """Return whether the file that was read is no longer in its place."""
        try:
            return self._inode not in (0, self.path.stat().st_ino)
        except OSError:
            return self._inode != 0

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = self._dataset = None

    def _open(self) -> bool:
        """Open the file once it can be read; return whether it is."""
        if self._dataset is not None:
            return True
        if fault := why_not_a_file(self.path):
            raise ScanDataError([fault])
        if not self.path.is_file():
            self.waiting_for = f'there is no file {self.path}'
            return False
        register_filters()
        try:
            self._file = h5py.File(self.path, 'r', libver='latest', swmr=True)
        except DAMAGE as error:
            self.waiting_for = f'{self.path} cannot be opened ({describe(error)})'
            return False
        try:
            self._dataset = self._find()
        except ScanDataError:
            raise
        except DAMAGE as error:
            self.close()
            self.waiting_for = f'{self.path} cannot be read ({describe(error)})'
            return False
        if self._dataset is None:
            self.close()
            self.waiting_for = f'{self.path} has no dataset {", ".join(self.names)}'
            return False
        self._inode, self.found, self.waiting_for = self.path.stat().st_ino, True, ''
        return True

    def _find(self) -> h5py.Dataset | None:
        """Return the first dataset of the names that is stored in this file itself."""
        for name in self.names:
            group: Any = self._file
            for part in filter(None, name.split('/')):
                if not isinstance(group, h5py.Group) or part not in list(group):
                    group = None
                    break
                if isinstance(group.get(part, getlink=True), h5py.ExternalLink):
                    raise ScanDataError(
                        [
                            f'{self.path}, {name!r} is a link to another file; name the file that '
                            'is written'
                        ]
                    )
                group = group[part]
            if isinstance(group, h5py.Dataset):
                self._check(group)
                return group
        return None

    def _check(self, dataset: h5py.Dataset) -> None:
        """Refuse what is stored elsewhere or holds no rows of numbers."""
        if dataset.external or (dataset.is_virtual and not self.takes_virtual):
            raise ScanDataError(
                [
                    f'{self.path}, {dataset.name!r} lies in other files; name the file that is '
                    'written'
                ]
            )
        if dataset.dtype.kind not in 'uif' or dataset.ndim < 1:
            raise ScanDataError(
                [
                    f'{self.path}, {dataset.name!r} must hold rows of real numbers, got '
                    f'{dataset.dtype} {dataset.shape}'
                ]
            )

    def _read(self, rows: Integers) -> tuple[Integers, Values]:
        """Return the numbers and the values of rows in ascending order."""
        if not len(rows):
            return rows, np.empty((0, *self._dataset.shape[1:]), self._dataset.dtype)
        if int(rows[-1] - rows[0]) == len(rows) - 1:
            return rows, np.asarray(self._dataset[int(rows[0]) : int(rows[-1]) + 1])
        return rows, np.asarray(self._dataset[rows])

    def _written(
        self, late: tuple[Integers, Values], fresh: tuple[Integers, Values]
    ) -> tuple[Integers, Values] | None:
        """Return the rows that are written; remember those that are not."""
        came, kept = (
            rows_with_values(rows, self._dataset.fillvalue) for rows in (late[1], fresh[1])
        )
        # Those that were looked at go to the end of the line.
        self._late = self._late[len(late[0]) :] + late[0][~came].tolist()
        last = int(np.flatnonzero(kept)[-1]) + 1 if kept.any() else 0
        kept = kept[:last]
        self._late += fresh[0][:last][~kept].tolist()
        self._late.sort()
        self._next += last
        numbers = np.concatenate([late[0][came], fresh[0][:last][kept]])
        values = np.concatenate([late[1][came], fresh[1][:last][kept]])
        return (numbers, values) if len(numbers) else None
