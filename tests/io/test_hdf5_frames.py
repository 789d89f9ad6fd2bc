"""HDF5 frames in chunks: read in place where that reads no other frames, else from a copy."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io import hdf5_frames
from ptychopinn_plugin.io.hdf5_frames import ChunkedFrames, open_hdf5_frames
from ptychopinn_plugin.scan.frame_source import ContiguousFrames, FrameSource

SHAPE = (23, 16, 12)


@pytest.fixture(scope='module')
def frames() -> npt.NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 60_000, SHAPE).astype(np.uint16)


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_frames, 'room_for_copies', lambda: 0)


def write(path: Path, frames: npt.NDArray[np.uint16], **options: Any) -> Path:
    userblock = options.pop('userblock', 0)
    with h5py.File(path, 'w', userblock_size=userblock) as file:
        # Something before and behind the frames, which they must not be taken for.
        file['before'] = np.arange(77)
        file.create_dataset('frames', data=frames, **options)
        file['behind'] = np.arange(77)
    return path


@pytest.mark.parametrize(
    ('options', 'kind', 'is_copy'),
    [
        ({}, ContiguousFrames, False),
        ({'chunks': (1, 16, 12)}, ContiguousFrames, False),
        ({'chunks': (4, 16, 12)}, ContiguousFrames, False),
        ({'chunks': (4, 16, 12), 'userblock': 512}, ContiguousFrames, True),
        ({'chunks': (5, 8, 12)}, ContiguousFrames, True),
        ({'chunks': (1, 16, 12), 'compression': 'gzip'}, ContiguousFrames, True),
        ({'chunks': (4, 16, 12), 'compression': 'gzip'}, ContiguousFrames, True),
    ],
)
def test_frames_are_those_that_were_written(
    tmp_path: Path,
    frames: npt.NDArray[np.uint16],
    options: dict[str, Any],
    kind: type,
    is_copy: bool,
) -> None:
    found, copied = open_hdf5_frames(write(tmp_path / 'f.h5', frames, **options), '/frames')
    assert copied == is_copy
    assert isinstance(found, kind)
    assert_are(found, frames)


@pytest.mark.usefixtures('no_room')
@pytest.mark.parametrize('more', [{'compression': 'gzip'}, {'shuffle': True, 'compression': 'lzf'}])
def test_without_room_for_a_copy_frames_are_decompressed_at_each_use(
    tmp_path: Path, frames: npt.NDArray[np.uint16], more: dict[str, Any]
) -> None:
    path = write(tmp_path / 'f.h5', frames, chunks=(1, 16, 12), **more)
    found, copied = open_hdf5_frames(path, '/frames')
    assert not copied
    assert isinstance(found, ChunkedFrames)
    assert_are(found, frames)


def assert_are(found: FrameSource, frames: npt.NDArray[np.uint16]) -> None:
    assert found.shape == SHAPE
    assert found.dtype == np.dtype(np.uint16)
    for wanted in ([0], [22], [3, 4, 5, 6, 7, 8], [8, 7, 21, 0, 0], list(range(23)), []):
        numbers = np.asarray(wanted, dtype=np.int64)
        np.testing.assert_array_equal(found.read(numbers), frames[numbers])


def test_a_chunk_that_was_never_written_is_copied_with_its_default(tmp_path: Path) -> None:
    with h5py.File(tmp_path / 'f.h5', 'w') as file:
        made = file.create_dataset('frames', (6, 4, 4), np.uint16, chunks=(2, 4, 4), fillvalue=7)
        made[:2] = 3
    found, copied = open_hdf5_frames(tmp_path / 'f.h5', 'frames')
    assert copied
    values = found.read(np.arange(6))
    assert (values[:2] == 3).all()
    assert (values[2:] == 7).all()


@pytest.mark.usefixtures('no_room')
def test_filters_of_detectors(tmp_path: Path, frames: npt.NDArray[np.uint16]) -> None:
    hdf5plugin = pytest.importorskip('hdf5plugin')
    filters = {'chunks': (1, 16, 12), **hdf5plugin.Bitshuffle(cname='lz4')}
    path = write(tmp_path / 'f.h5', frames, **filters)
    found, copied = open_hdf5_frames(path, 'frames')
    assert not copied
    np.testing.assert_array_equal(found.read(np.array([5, 2])), frames[[5, 2]])


def test_a_filter_that_is_not_there_is_named(
    tmp_path: Path, frames: npt.NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / 'f.h5', frames, chunks=(1, 16, 12), compression='lzf')
    monkeypatch.setattr(h5py.h5z, 'filter_avail', lambda number: number != 32000)
    with pytest.raises(
        ScanDataError, match=r'compressed with lzf \(HDF5 filter 32000\).*hdf5plugin'
    ):
        open_hdf5_frames(path, 'frames')


@pytest.mark.usefixtures('no_room')
@pytest.mark.parametrize('compression', [None, 'gzip'])
def test_the_file_is_closed_with_the_last_use(
    tmp_path: Path, frames: npt.NDArray[np.uint16], compression: str | None
) -> None:
    path = write(tmp_path / 'f.h5', frames, chunks=(1, 16, 12), compression=compression)
    found, _ = open_hdf5_frames(path, 'frames')
    del found
    gc.collect()
    with h5py.File(path, 'r+') as file:
        file['more'] = 1


@pytest.mark.usefixtures('no_room')
def test_a_damaged_chunk_is_an_error(tmp_path: Path, frames: npt.NDArray[np.uint16]) -> None:
    path = write(tmp_path / 'f.h5', frames, chunks=(1, 16, 12), compression='gzip')
    with h5py.File(path) as file:
        place = file['frames'].id.get_chunk_info(3).byte_offset
    content = bytearray(path.read_bytes())
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    found, _ = open_hdf5_frames(path, 'frames')
    with pytest.raises(ScanDataError, match='frame 3 cannot be read'):
        found.read(np.array([2, 3]))
