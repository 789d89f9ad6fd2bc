"""Which rows of which files make the rows of a virtual dataset of HDF5."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError

Integers = npt.NDArray[np.int64]

# Of a hyperslab without an end, as HDF5 has it.
UNLIMITED = int(np.iinfo(np.uint64).max)


@dataclass(frozen=True)
class RowSelection:
    """Rows of a dataset: blocks of equal length at equal distances.

    Attributes:
        start: first row.
        stride: from the start of a block to that of the next.
        block: rows of a block.
        count: of rows in all; None where there is no end.
    """

    start: int
    stride: int
    block: int
    count: int | None

    def rows(self, numbers: Integers) -> Integers:
        """Return the rows at some places of the selection, int64 (b,)."""
        return self.start + self.stride * (numbers // self.block) + numbers % self.block


@dataclass(frozen=True)
class RowSource:
    """A file with rows of a virtual dataset.

    Attributes:
        filename: as the virtual dataset has it; '%b' stands for the number of a block.
        dataset: name of the dataset in that file.
        rows: where its rows are in the virtual dataset.
        first: of them in the file.
    """

    filename: str
    dataset: str
    rows: RowSelection
    first: int

    @property
    def is_numbered(self) -> bool:
        """Whether each block lies in a file of its own."""
        return '%b' in self.filename.replace('%%', '')

    def block(self, number: int) -> RowSource:
        """Return the source of one block of numbered files."""
        start = self.rows.start + self.rows.stride * number
        rows = RowSelection(start, self.rows.block, self.rows.block, self.rows.block)
        name = self.filename.replace('%b', str(number)).replace('%%', '%')
        return RowSource(name, self.dataset.replace('%b', str(number)), rows, self.first)


def row_sources(dataset: h5py.Dataset, what: str) -> list[RowSource]:
    """Return the sources of a virtual dataset, in the order of their rows.

    Args:
        dataset: a virtual one.
        what: the dataset, for messages.

    Raises:
        ScanDataError: its sources are no whole rows, one after the other.
    """
    try:
        maps = dataset.virtual_sources()
    except RuntimeError as error:
        # HDF5 knows no selections of a source that has no end.
        raise ScanDataError(
            [f'{what} is all of another file, without an end; name the file that is written']
        ) from error
    found = [
        RowSource(
            one.file_name,
            one.dset_name,
            _selected(one.vspace, what),
            _first_row(one.src_space, what),
        )
        for one in maps
    ]
    if not found:
        raise ScanDataError([f'{what} is a virtual dataset without sources'])
    return sorted(found, key=lambda one: one.rows.start)


def _first_row(space: h5py.h5s.SpaceID, what: str) -> int:
    """Return the first selected row of a source, whose rows follow one another."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return 0
    selected = _selected(space, what)
    if selected.stride != selected.block:
        raise ScanDataError([f'{what} takes rows of its sources that do not follow one another'])
    return selected.start


def _selected(space: h5py.h5s.SpaceID, what: str) -> RowSelection:
    """Return the rows that a selection takes whole."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return RowSelection(0, 1, 1, int(space.shape[0]))
    if not space.is_regular_hyperslab():
        raise ScanDataError([f'{what} takes parts of its sources in no regular order'])
    starts, strides, counts, blocks = space.get_regular_hyperslab()
    taken = [
        count * block if 1 in (count, block) or stride == block else 0
        for stride, count, block in zip(strides[1:], counts[1:], blocks[1:], strict=True)
    ]
    if any(starts[1:]) or taken != list(space.shape[1:]):
        raise ScanDataError([f'{what} takes parts of rows of its sources, not whole ones'])
    stride, count, block = int(strides[0]), int(counts[0]), int(blocks[0])
    if block == UNLIMITED:
        return RowSelection(int(starts[0]), 1, 1, None)
    if count == UNLIMITED:
        return RowSelection(int(starts[0]), stride, block, None)
    # A single block has a stride that means nothing.
    return RowSelection(int(starts[0]), block if count == 1 else stride, block, count * block)
