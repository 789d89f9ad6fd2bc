"""Virtual datasets are followed through their files, and no frame is taken before it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.growing_sources import GrowingRows, VirtualRows

SIZE = 3
Values = npt.NDArray[Any]


def frames_of(first: int, count: int, step: int = 1) -> Values:
    """Return frames whose pixels hold their number, from 1."""
    numbers = 1 + first + step * np.arange(count)
    return np.broadcast_to(numbers[:, None, None], (count, SIZE, SIZE)).astype(np.uint16)


def write_data(path: Path, values: Values, room: int | None = None) -> None:
    """Write a file with room for some frames, the first of which are there."""
    with h5py.File(path, 'w', libver='latest') as file:
        shape = (len(values) if room is None else room, SIZE, SIZE)
        data = file.create_dataset('data', shape, 'u2', chunks=(1, SIZE, SIZE))
        data[: len(values)] = values


def write_master(path: Path, layouts: list[tuple[Any, str, int]], count: int) -> None:
    layout = h5py.VirtualLayout((count, SIZE, SIZE), 'u2')
    for place, name, frames in layouts:
        layout[place] = h5py.VirtualSource(name, 'data', (frames, SIZE, SIZE))
    with h5py.File(path, 'w', libver='latest') as file:
        # Another one than that of the files: neither may pass for a frame.
        file.create_virtual_dataset('entry', layout, fillvalue=9)


def taken(rows: GrowingRows, most: int = 100) -> list[int]:
    """Return the numbers of new rows, after a look at what they hold."""
    found = rows.new_rows(most)
    if found is None:
        return []
    numbers, values = found
    np.testing.assert_array_equal(values[:, 0, 0], numbers + 1)
    return [int(number) for number in numbers]


def test_rows_come_as_their_files_do(tmp_path: Path) -> None:
    rows = GrowingRows(tmp_path / 'master.h5', ('entry',))
    assert taken(rows) == []
    assert 'there is no file' in rows.rows.waiting_for
    parts = [(slice(4 * k, 4 * k + 4), f'd{k}.h5', 4) for k in range(3)]
    write_master(tmp_path / 'master.h5', parts, 12)
    assert taken(rows) == []
    assert isinstance(rows.rows, VirtualRows)
    assert 'hold no frame yet' in rows.rows.waiting_for
    # The second file first, and half of it.
    write_data(tmp_path / 'd1.h5', frames_of(4, 2), room=4)
    assert taken(rows) == [4, 5]
    assert rows.rows.waiting_for == ''
    assert rows.rows.rows_without_values == 4
    write_data(tmp_path / 'd0.h5', frames_of(0, 4))
    assert taken(rows) == [0, 1, 2, 3]
    assert rows.rows.rows_without_values == 0
    assert taken(rows) == []
    assert rows.rows.writer() == 'unknown'
    rows.rows.close()
    with h5py.File(tmp_path / 'd1.h5', 'r+') as file:
        file['data'][2:] = frames_of(6, 2)
    write_data(tmp_path / 'd2.h5', frames_of(8, 4))
    assert sorted(taken(rows)) == [6, 7, 8, 9, 10, 11]
    assert rows.rows.writer() == 'closed'


def test_files_may_take_turns_frame_by_frame(tmp_path: Path) -> None:
    parts = [(np.s_[k::2], f'd{k}.h5', 5) for k in range(2)]
    write_master(tmp_path / 'master.h5', parts, 10)
    write_data(tmp_path / 'd1.h5', frames_of(1, 5, 2))
    rows = GrowingRows(tmp_path / 'master.h5', ('entry',))
    assert taken(rows, most=3) == [1, 3, 5]
    assert taken(rows) == [7, 9]
    write_data(tmp_path / 'd0.h5', frames_of(0, 5, 2))
    assert taken(rows) == [0, 2, 4, 6, 8]


def test_numbered_files_without_an_end_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / 'master.h5', 'w', libver='latest') as file:
        room = h5py.h5s.UNLIMITED
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        target = h5py.h5s.create_simple((4, SIZE, SIZE), (room, SIZE, SIZE))
        target.select_hyperslab((0, 0, 0), (room, 1, 1), (4, 1, 1), (4, SIZE, SIZE))
        source = h5py.h5s.create_simple((4, SIZE, SIZE))
        source.select_hyperslab((0, 0, 0), (1, 1, 1), (1, 1, 1), (4, SIZE, SIZE))
        created.set_virtual(target, b'd%b.h5', b'data', source)
        space = h5py.h5s.create_simple((0, SIZE, SIZE), (room, SIZE, SIZE))
        h5py.h5d.create(file.id, b'entry', h5py.h5t.NATIVE_UINT16, space, created)
    rows = GrowingRows(tmp_path / 'master.h5', ('entry',))
    assert taken(rows) == []
    write_data(tmp_path / 'd1.h5', frames_of(4, 4))
    assert taken(rows) == [4, 5, 6, 7]
    write_data(tmp_path / 'd0.h5', frames_of(0, 4))
    write_data(tmp_path / 'd2.h5', frames_of(8, 3), room=4)
    assert sorted(taken(rows)) == [0, 1, 2, 3, 8, 9, 10]
    # How many files there will be is not known.
    assert rows.rows.writer() == 'unknown'


@pytest.mark.parametrize(
    ('name', 'place', 'reason'),
    [
        ('sub/d0.h5', np.s_[0:4], 'another folder'),
        ('d0.h5', np.s_[0:4, 0:2], 'parts of rows'),
    ],
)
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, name: str, place: Any, reason: str
) -> None:
    layout = h5py.VirtualLayout((4, SIZE, SIZE), 'u2')
    width = SIZE if isinstance(place, slice) else 2
    layout[place] = h5py.VirtualSource(name, 'data', (4, width, SIZE))
    with h5py.File(tmp_path / 'master.h5', 'w', libver='latest') as file:
        file.create_virtual_dataset('entry', layout)
    with pytest.raises(ScanDataError, match=reason):
        GrowingRows(tmp_path / 'master.h5', ('entry',)).new_rows(10)


def test_files_of_other_folders_are_read_where_they_may_be(tmp_path: Path) -> None:
    (tmp_path / 'sub').mkdir()
    write_data(tmp_path / 'sub' / 'd0.h5', frames_of(0, 4))
    write_master(tmp_path / 'master.h5', [(np.s_[0:4], 'sub/d0.h5', 4)], 4)
    rows = GrowingRows(tmp_path / 'master.h5', ('entry',), external_files=True)
    assert taken(rows) == [0, 1, 2, 3]
