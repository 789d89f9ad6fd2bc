"""What a watcher takes from files that grow, and how a scan ends."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io import numbered_files
from ptychopinn_plugin.io.growing_frames import FramesOfDataset, FramesOfFolder, GrowingFrames
from ptychopinn_plugin.io.growing_positions import open_positions
from ptychopinn_plugin.io.growing_sources import GrowingRows
from ptychopinn_plugin.io.numbered_files import NumberedFiles
from ptychopinn_plugin.live.frame_buffer import FrameBuffer
from ptychopinn_plugin.live.watcher import Watcher
from tests.live import writers

SIZE = 4


class Taker:
    """Keeps what it is given, as a live reconstruction does."""

    def __init__(self) -> None:
        self.buffer = FrameBuffer(SIZE, np.zeros((SIZE, SIZE), np.bool_), 2**20)

    @property
    def frame_count(self) -> int:
        return len(self.buffer.pairs)

    def append(
        self,
        frames: npt.NDArray[Any] | None = None,
        positions_px: npt.NDArray[Any] | None = None,
        *,
        indices: npt.NDArray[Any] | None = None,
    ) -> None:
        self.buffer.append(frames, positions_px, indices)

    def check(self, numbers: list[int], positions_px: npt.NDArray[np.float64]) -> None:
        """Check that frames and positions of some numbers were paired."""
        indices, counts, positions = self.buffer.in_order()
        assert indices.tolist() == numbers
        np.testing.assert_array_equal(counts[:], frames(*numbers))
        np.testing.assert_allclose(positions, positions_px)


def frames(*numbers: int) -> npt.NDArray[np.uint16]:
    """Return frames whose values say their number."""
    return np.stack([np.full((SIZE, SIZE), 100 + number, np.uint16) for number in numbers])


def points(*numbers: int) -> npt.NDArray[np.float64]:
    return np.array([[number, 2 * number + 0.5] for number in numbers])


def folder_frames(folder: Path, **options: Any) -> FramesOfFolder:
    return FramesOfFolder(NumberedFiles(folder), **options)


def file_frames(path: Path) -> FramesOfDataset:
    return FramesOfDataset(GrowingRows(path, (writers.FRAMES,)))


def watch(
    taker: Taker, source: GrowingFrames, positions: Path | str, **options: Any
) -> tuple[str, str]:
    given: dict[str, Any] = {
        'show': lambda: None,
        'should_stop': lambda: False,
        'idle_s': 0.2,
    } | options
    return Watcher(taker, source, open_positions(str(positions)), **given).follow()


def at_reading(actions: Mapping[int, Callable[[], object]]) -> Callable[[], bool]:
    """Return a `should_stop` that does something at some readings and never stops."""
    readings = itertools.count()

    def should_stop() -> bool:
        actions.get(next(readings), lambda: None)()
        return False

    return should_stop


@pytest.fixture
def positions(tmp_path: Path) -> Path:
    path = tmp_path / 'positions.txt'
    np.savetxt(path, points(*range(20)))
    return path


def save(folder: Path, number: int, values: npt.NDArray[Any] | None = None) -> None:
    folder.mkdir(exist_ok=True)
    np.save(folder / f'run7_{number}.npy', frames(number)[0] if values is None else values)


def test_tiff_files_hold_a_frame_or_a_stack(
    tmp_path: Path, positions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbered_files, 'SETTLED_S', 0.05)
    folder = tmp_path / 'frames'
    folder.mkdir()
    # The position of frame 3 is there, its file comes first, and file 1 has fewer than the rest.
    tifffile.imwrite(folder / 'det_00001.tif', frames(3)[0])
    path = folder / 'det_00000.tiff'
    tifffile.imwrite(path, frames(0, 1, 2), compression='zlib', photometric='minisblack')
    taker = Taker()
    watch(taker, folder_frames(folder, frames_per_file=3), positions)
    taker.check([0, 1, 2, 3], points(0, 1, 2, 3))


def test_tiff_files_that_are_being_written_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbered_files, 'SETTLED_S', 0.0)
    path = tmp_path / 'det_0.tif'
    tifffile.imwrite(path, np.arange(4000, dtype=np.uint16).reshape(1, 40, 100) % 7)
    whole, files = path.read_bytes(), NumberedFiles(tmp_path)
    for size in (0, 5, 300, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert not list(files.read_new(()))
        assert 'det_0.tif' in files.left_out()[0]
    path.write_bytes(whole)
    ((_, number, stack),) = files.read_new(())
    assert (number, stack.shape) == (0, (1, 40, 100))
    # Pages may be appended to a file that is complete.
    monkeypatch.setattr(numbered_files, 'SETTLED_S', 60.0)
    tifffile.imwrite(tmp_path / 'det_1.tif', frames(1))
    assert not list(files.read_new(()))
    assert 'changed a moment ago' in files.left_out()[0]


@pytest.mark.parametrize('colours', [True, False])
def test_tiff_files_that_hold_no_frames_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, colours: bool
) -> None:
    monkeypatch.setattr(numbered_files, 'SETTLED_S', 0.0)
    with tifffile.TiffWriter(tmp_path / 'det_0.tif') as file:
        if colours:
            file.write(np.zeros((SIZE, SIZE, 3), np.uint8), photometric='rgb')
        else:
            file.write(frames(0)[0])
            file.write(np.zeros((SIZE + 1, SIZE), np.uint16))
    with pytest.raises(ScanDataError, match='one shape and one value a pixel'):
        list(NumberedFiles(tmp_path).read_new(()))


def test_a_folder_gives_each_file_the_index_of_its_name(tmp_path: Path, positions: Path) -> None:
    folder, taker = tmp_path / 'frames', Taker()
    for number in (3, 10, 0):
        save(folder, number)
    (folder / 'notes.npy').write_bytes(b'no number')
    (folder / '.run7_4.npy').write_bytes(b'in the making')
    stop = at_reading({2: lambda: save(folder, 2), 3: lambda: (folder / 'run7_3.npy').unlink()})
    reason, fault = watch(taker, folder_frames(folder), positions, should_stop=stop)
    assert (reason, fault) == ('nothing came for 0.2 s', '')
    taker.check([0, 2, 3, 10], points(0, 2, 3, 10))


def test_files_with_several_frames_are_counted_by_those_of_a_full_one(
    tmp_path: Path, positions: Path
) -> None:
    folder, taker = tmp_path / 'frames', Taker()
    folder.mkdir()
    for number, held in ((1, (0, 1, 2)), (3, (6, 7))):
        with h5py.File(folder / f'block_{number:06d}.h5', 'w') as file:
            file['/entry/data/data'] = frames(*held)
    source = folder_frames(folder, frames_per_file=3, first_number=1)
    assert watch(taker, source, positions)[1] == ''
    taker.check([0, 1, 2, 6, 7], points(0, 1, 2, 6, 7))
    _, fault = watch(Taker(), folder_frames(folder), positions)
    assert 'block_000001.h5 holds 3 frames, and 1 are expected in a file' in fault
    late = folder_frames(folder, frames_per_file=3, first_number=2)
    assert 'has the number 1, below that of the first, 2' in watch(Taker(), late, positions)[1]


def test_a_file_is_read_when_it_is_complete(tmp_path: Path, positions: Path) -> None:
    folder, taker = tmp_path / 'frames', Taker()
    save(folder, 0)
    save(folder, 1)
    whole = (folder / 'run7_1.npy').read_bytes()
    (folder / 'run7_1.npy').write_bytes(whole[:-5])
    (folder / 'run7_2.npy').write_bytes(b'')
    stop = at_reading({3: lambda: (folder / 'run7_1.npy').write_bytes(whole)})
    _, fault = watch(taker, folder_frames(folder), positions, should_stop=stop)
    taker.check([0, 1], points(0, 1))
    assert fault.startswith(f'of {folder} could not be read: run7_2.npy (')


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (np.full((SIZE, SIZE), np.nan), 'frames are float32, those before uint16'),
        (np.ones((SIZE, SIZE + 1), np.uint16), r'frames must have shape (n, 4, 4)'),
        (np.ones((1, 1, SIZE, SIZE), np.uint16), 'must hold a frame (N, N) or frames (n, N, N)'),
        (np.array(['a']), 'of real numbers'),
    ],
)
def test_frames_before_a_fault_are_kept(
    tmp_path: Path, positions: Path, values: npt.NDArray[Any], message: str
) -> None:
    folder, taker = tmp_path / 'frames', Taker()
    save(folder, 0)
    save(folder, 1)
    stop = at_reading({1: lambda: save(folder, 2, values)})
    reason, fault = watch(taker, folder_frames(folder), positions, should_stop=stop)
    assert reason == 'it has a fault'
    assert message in fault
    taker.check([0, 1], points(0, 1))


def test_a_frame_that_holds_nan_ends_the_scan_and_those_beside_it_are_kept(
    tmp_path: Path, positions: Path
) -> None:
    taker, stack = Taker(), frames(*range(6)).astype(np.float32)
    stack[4, 1, 2] = np.nan
    np.save(tmp_path / 'stack_0.npy', stack)
    source = folder_frames(tmp_path, frames_per_file=6)
    _, fault = watch(taker, source, positions)
    assert 'frame 4 holds nan at pixel row 1, column 2' in fault
    taker.check([0, 1, 2, 3], points(0, 1, 2, 3))


def test_a_folder_that_disappears_is_an_error(tmp_path: Path, positions: Path) -> None:
    folder, taker = tmp_path / 'frames', Taker()
    save(folder, 0)

    def remove() -> None:
        (folder / 'run7_0.npy').unlink()
        folder.rmdir()

    source = folder_frames(folder)
    reason, fault = watch(taker, source, positions, should_stop=at_reading({1: remove}))
    assert (reason, fault) == ('the frames disappeared', f'{folder} disappeared while it was read')
    taker.check([0], points(0))


class Recording:
    """An HDF5 file that another process writes as it is told to."""

    def __init__(self, path: Path, fill: str = '0', rows: int = 0) -> None:
        self.path = path
        command = [sys.executable, '-m', 'tests.live.recording', str(path), fill, str(rows)]
        folder = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.wait()

    def wait(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == 'done\n'

    def tell(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f'{words}\n')
        self.process.stdin.flush()
        self.wait()

    def write(self, *numbers: int) -> None:
        self.tell(' '.join(['write', *map(str, numbers)]))

    def close(self) -> None:
        self.tell('close')

    def sources(self) -> tuple[FramesOfDataset, str]:
        return file_frames(self.path), f'{self.path}:{writers.POSITIONS}'


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Recording]]:
    """Give a function that starts a recording, which is ended with the test."""
    started: list[Recording] = []

    def start(**options: Any) -> Recording:
        started.append(Recording(tmp_path / 'scan.h5', **options))
        return started[-1]

    yield start
    for recording in started:
        recording.process.kill()
        recording.process.communicate()


def test_rows_are_read_as_they_are_written(record: Callable[..., Recording]) -> None:
    recording, taker = record(), Taker()
    recording.write(1, 2)
    actions = {1: lambda: recording.write(0), 2: lambda: recording.write(3, 4)}
    actions[4] = recording.close
    reason, fault = watch(taker, *recording.sources(), should_stop=at_reading(actions), idle_s=30.0)
    assert (reason, fault) == ('the file was closed', '')
    taker.check([0, 1, 2, 3, 4], points(0, 1, 2, 3, 4))


@pytest.mark.parametrize('fill', ['0', 'nan'])
def test_room_that_was_made_before_is_filled_later(
    record: Callable[..., Recording], fill: str
) -> None:
    recording, taker = record(fill=fill, rows=12), Taker()
    recording.write(1, 2, 3)
    stop = at_reading({2: lambda: recording.write(4, 7), 3: recording.close})
    reason, fault = watch(taker, *recording.sources(), should_stop=stop, idle_s=30.0)
    assert reason == 'the file was closed'
    # Rows 0, 5 and 6 lie before the last one.
    assert fault == f'3 frames of {recording.path} hold no count'
    taker.check([1, 2, 3, 4, 7], points(1, 2, 3, 4, 7))


def test_a_last_position_at_the_origin_is_taken_at_the_end(
    record: Callable[..., Recording],
) -> None:
    recording, taker = record(), Taker()
    recording.write(0, 1)
    recording.tell('origin 1')
    stop = at_reading({1: recording.close})
    assert watch(taker, *recording.sources(), should_stop=stop)[1] == ''
    assert taker.frame_count == 2


def test_a_file_that_is_still_open_after_the_idle_time_is_an_error(
    record: Callable[..., Recording],
) -> None:
    recording, taker = record(), Taker()
    recording.write(0, 1, 2)
    reason, fault = watch(taker, *recording.sources())
    assert reason == 'nothing came for 0.2 s'
    assert 'has not grown for 0.2 s and was not closed' in fault
    taker.check([0, 1, 2], points(0, 1, 2))


@pytest.mark.parametrize('replaced', [False, True])
def test_a_file_that_disappears_is_an_error(
    tmp_path: Path, record: Callable[..., Recording], replaced: bool
) -> None:
    recording, taker = record(), Taker()
    recording.write(0, 1, 2)

    def remove() -> None:
        if replaced:
            (tmp_path / 'other.h5').write_bytes(b'another one')
            (tmp_path / 'other.h5').replace(recording.path)
        else:
            recording.path.unlink()

    stop = at_reading({1: remove})
    reason, fault = watch(taker, *recording.sources(), should_stop=stop, idle_s=30.0)
    assert (reason, fault) == (
        'the frames disappeared',
        f'{recording.path} disappeared while it was read',
    )
    taker.check([0, 1, 2], points(0, 1, 2))


def test_a_file_of_another_kind_is_an_error(tmp_path: Path, positions: Path) -> None:
    path = tmp_path / 'scan.h5'
    path.write_bytes(b'no HDF5')
    assert 'scan.h5 cannot be opened' in watch(Taker(), file_frames(path), positions)[1]
    with h5py.File(path, 'w') as file:
        file['other'] = frames(0)
    assert f'has no dataset {writers.FRAMES}' in watch(Taker(), file_frames(path), positions)[1]
    with h5py.File(path, 'w') as file:
        file[writers.FRAMES] = points(0, 1)
    assert 'must hold frames of shape (n, N, N)' in watch(Taker(), file_frames(path), positions)[1]
    with h5py.File(path, 'w') as file:
        file[writers.FRAMES] = h5py.ExternalLink('/etc/passwd', '/a')
    assert 'is a link to another file' in watch(Taker(), file_frames(path), positions)[1]


def test_a_pipe_is_refused(tmp_path: Path, positions: Path) -> None:
    os.mkfifo(tmp_path / 'scan.h5')
    assert 'is a named pipe' in watch(Taker(), file_frames(tmp_path / 'scan.h5'), positions)[1]
    os.mkfifo(tmp_path / 'frame_0.npy')
    assert 'is a named pipe' in watch(Taker(), folder_frames(tmp_path), positions)[1]
    with pytest.raises(ScanDataError, match='is a named pipe'):
        open_positions(f'{tmp_path / "scan.h5"}:/a')


def test_positions_of_an_array_that_is_replaced(tmp_path: Path) -> None:
    folder, taker, path = tmp_path / 'frames', Taker(), tmp_path / 'positions.npy'
    for number in range(4):
        save(folder, number)
    np.save(path, points(0, 1))
    stop = at_reading({2: lambda: np.save(path, points(0, 1, 2, 3))})
    assert watch(taker, folder_frames(folder), path, should_stop=stop)[1] == ''
    taker.check([0, 1, 2, 3], points(0, 1, 2, 3))


def test_lines_of_positions(tmp_path: Path) -> None:
    path = tmp_path / 'positions.csv'
    path.write_text('# row, column\n1, 2\n\n3 4\r\n7, 5, 6\n8, 9')
    source = open_positions(str(path))
    found = source.read_new()
    assert found is not None
    # The last line may go on.
    assert found.indices.tolist() == [0, 1, 7]
    assert found.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert source.read_new() is None
    with path.open('a') as file:
        file.write('.5\nx, 3\n')
    with pytest.raises(ScanDataError, match=r"line 7 must hold row and column.*'x, 3'"):
        source.read_new()


def test_a_position_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    folder, path = tmp_path / 'frames', tmp_path / 'positions.txt'
    save(folder, 0)
    path.write_text('0 1\n2 nan\n')
    taker = Taker()
    assert 'the position of index 1 is not finite' in watch(taker, folder_frames(folder), path)[1]
    assert taker.frame_count == 0
    assert taker.buffer.pairs.waiting_positions == 1


def test_the_scan_ends_with_the_expected_frames_or_on_request(
    tmp_path: Path, positions: Path
) -> None:
    folder = tmp_path / 'frames'
    for number in range(3):
        save(folder, number)
    options: dict[str, Any] = {'idle_s': 1000.0}
    reason, _ = watch(Taker(), folder_frames(folder), positions, expected=3, **options)
    assert reason == 'all 3 frames came'
    requests = itertools.count()
    reason, _ = watch(
        Taker(), folder_frames(folder), positions, should_stop=lambda: next(requests) > 2, **options
    )
    assert reason == 'it was interrupted'


def test_results_are_shown_now_and_then(tmp_path: Path, positions: Path) -> None:
    save(tmp_path / 'frames', 0)
    shown: list[None] = []
    watch(
        Taker(),
        folder_frames(tmp_path / 'frames'),
        positions,
        show=lambda: shown.append(None),
        every_s=0.1,
        idle_s=0.5,
    )
    assert 2 <= len(shown) <= 6


def test_positions_in_metres_and_along_other_axes(tmp_path: Path, positions: Path) -> None:
    folder, taker = tmp_path / 'frames', Taker()
    for number in range(3):
        save(folder, number)
    orientation = OrientationConfig(transpose=True, flip_x=True)
    watch(taker, folder_frames(folder), positions, to_px=100.0, orientation=orientation)
    taker.check([0, 1, 2], points(0, 1, 2)[:, ::-1] * [100, -100])
