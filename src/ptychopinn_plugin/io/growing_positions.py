"""Positions of a scan that is being recorded: a text file, a dataset or an array that grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.growing_dataset import GrowingDataset
from ptychopinn_plugin.io.npy_stream import read_npy
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.io.separate_frames import split_name

# Positions are small: all that are there are read at once, up to this many.
MOST_ROWS = 100_000
TEXT_ENDINGS = ('.txt', '.csv', '.dat')


class NewPositions(NamedTuple):
    """Positions that arrived.

    Attributes:
        indices: int64 (b,), numbers of their frames.
        values: float64 (b, 2), (row, column), in the unit of the source.
    """

    indices: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


class GrowingPositions(Protocol):
    """Where the positions of a scan appear while it is recorded."""

    def read_new(self) -> NewPositions | None:
        """Return positions that appeared since; None where there are none.

        Raises:
            ScanDataError: what appeared are no positions.
        """

    def read_last(self) -> NewPositions | None:
        """Return what is taken only once no more is written."""

    def close(self) -> None:
        """Close what is open."""


def open_positions(given: str) -> GrowingPositions:
    """Return the positions of a file, which need not be there yet.

    Args:
        given: a text file (.txt, .csv, .dat), an .npy, or an HDF5 file with a colon and the name
            of a dataset (n, 2).

    Raises:
        ScanDataError: another ending, or no dataset is named.
    """
    path, name = split_name(given)
    if fault := why_not_a_file(path):
        raise ScanDataError([fault])
    if path.suffix.lower() in TEXT_ENDINGS:
        return PositionsOfText(path)
    if path.suffix.lower() == '.npy':
        return PositionsOfArray(path)
    if not name:
        raise ScanDataError(
            [
                f'positions come from {", ".join((*TEXT_ENDINGS, ".npy"))} or a dataset of an HDF5 '
                f'file, such as {path}:/entry/positions, got {given}'
            ]
        )
    return PositionsOfDataset(GrowingDataset(path, (name,)))


@dataclass(eq=False)
class PositionsOfDataset:
    """Positions of a dataset (n, 2); the number of a row is the index of its frame.

    Attributes:
        dataset: that grows.
    """

    dataset: GrowingDataset

    def read_new(self) -> NewPositions | None:
        """Return the rows that were written since."""
        return self._pairs(self.dataset.new_rows(MOST_ROWS))

    def read_last(self) -> NewPositions | None:
        """Return the one row that has the value of rows that were not written, such as (0, 0)."""
        return self._pairs(self.dataset.last_row())

    def close(self) -> None:
        """Close the file."""
        self.dataset.close()

    def _pairs(self, rows: tuple[Any, Any] | None) -> NewPositions | None:
        if rows is None:
            return None
        numbers, values = rows
        if values.ndim != 2 or values.shape[1] != 2:
            raise ScanDataError(
                [
                    f'{self.dataset.path} must hold positions of shape (n, 2), (row, column), got '
                    f'rows of shape {values.shape[1:]}'
                ]
            )
        return NewPositions(numbers, values.astype(np.float64))


@dataclass(eq=False)
class PositionsOfArray:
    """Positions of an .npy file (n, 2) that is replaced by a longer one.

    Attributes:
        path: the file.
    """

    path: Path
    _count: int = 0
    _stamp: tuple[int, int] = (0, 0)

    def read_new(self) -> NewPositions | None:
        """Return the rows after those that were read."""
        try:
            status = self.path.stat()
            if self._stamp == (status.st_mtime_ns, status.st_size):
                return None
            values = read_npy(self.path)
        except (OSError, ValueError, EOFError):
            return None  # not there, or still being written
        if values.ndim != 2 or values.shape[1] != 2 or values.dtype.kind not in 'uif':
            raise ScanDataError(
                [
                    f'{self.path} must hold positions of shape (n, 2), (row, column), got '
                    f'{values.dtype} {values.shape}'
                ]
            )
        self._stamp = (status.st_mtime_ns, status.st_size)
        first, self._count = self._count, max(self._count, len(values))
        if len(values) <= first:
            return None
        return NewPositions(np.arange(first, len(values)), values[first:].astype(np.float64))

    def read_last(self) -> NewPositions | None:
        """Return what a last look finds."""
        return self.read_new()

    def close(self) -> None:
        """Do nothing: the file does not stay open."""


@dataclass(eq=False)
class PositionsOfText:
    """Positions of a text file to which lines are appended.

    A line holds row and column, or the index of the frame, row and column, divided by blanks or
    commas; lines of two numbers are counted from 0. Empty lines and those that begin with # are
    left out.

    Attributes:
        path: the file.
    """

    path: Path
    _offset: int = 0
    _line: int = 0
    _count: int = 0

    def read_new(self) -> NewPositions | None:
        """Return the positions of lines that are complete: a number may be cut in its middle."""
        try:
            with self.path.open('rb') as file:
                file.seek(self._offset)
                text = file.read()
        except OSError:
            return None
        end = text.rfind(b'\n') + 1
        self._offset += end
        found = [self._position(line) for line in text[:end].splitlines()]
        rows = [one for one in found if one is not None]
        if not rows:
            return None
        indices, values = zip(*rows, strict=True)
        return NewPositions(np.asarray(indices, np.int64), np.asarray(values, np.float64))

    def read_last(self) -> NewPositions | None:
        """Return what a last look finds; a line without its end is left out."""
        return self.read_new()

    def close(self) -> None:
        """Do nothing: the file does not stay open."""

    def _position(self, line: bytes) -> tuple[int, tuple[float, float]] | None:
        """Return index and position of a line; None for one without."""
        self._line += 1
        words = line.decode('utf-8', 'replace').replace(',', ' ').split()
        if not words or words[0].startswith('#'):
            return None
        try:
            if len(words) == 3:
                return int(words[0]), (float(words[1]), float(words[2]))
            row, column = map(float, words)
        except ValueError as error:
            raise ScanDataError(
                [
                    f'{self.path}, line {self._line} must hold row and column, or index, row and '
                    f'column, got {line.decode("utf-8", "replace")!r}'
                ]
            ) from error
        self._count += 1
        return self._count - 1, (row, column)
