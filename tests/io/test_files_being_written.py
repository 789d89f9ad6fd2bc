"""HDF5 files that a program is writing are read as far as they go, others are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn_plugin import load_scan
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io import written_part
from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.growing_writer import DATA, POSITIONS
from tests.io.instrument_files import SIZE, frames, instrument_scan, write_cxi
from tests.io.npz_files import canonical


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return instrument_scan()


@contextmanager
def writing(
    path: Path, *, frames: int, positions: int, kind: str = 'grows'
) -> Iterator[subprocess.Popen[str]]:
    """Run a program that has written a part of a scan and has the file open.

    Args:
        path: the CXI file.
        frames: that are written.
        positions: that are written.
        kind: 'grows', 'preallocated', 'gap' (frame 4 is not written) or 'no-swmr'.
    """
    whole = write_cxi(path.with_suffix('.whole'), instrument_scan())
    words = [str(whole), str(path), str(frames), str(positions), kind]
    command = [sys.executable, str(Path(__file__).with_name('growing_writer.py')), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == 'written\n'
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str]) -> None:
    """Let the program write the rest and close the file."""
    assert process.stdin
    process.stdin.write('go on\n')
    process.stdin.flush()
    assert process.wait(60) == 0


def assert_frames(read: ScanData, scan: ScanData, numbers: Any) -> None:
    np.testing.assert_array_equal(np.asarray(read.counts), scan.counts[numbers])
    np.testing.assert_allclose(
        read.positions_px - read.positions_px[0],
        scan.positions_px[numbers] - scan.positions_px[numbers][0],
        atol=1e-6,
    )
    np.testing.assert_array_equal(read.metadata.scan_index, np.arange(len(scan.counts))[numbers])


def fault(path: Path, **options: Any) -> str:
    with pytest.raises(ScanDataError) as caught:
        load_scan(path, **options)
    return str(caught.value)


def test_a_file_is_read_as_far_as_it_goes_and_then_as_a_whole(
    tmp_path: Path, scan: ScanData
) -> None:
    path = tmp_path / 'scan.cxi'
    with writing(path, frames=18, positions=15) as writer:
        read = load_scan(path)
        from_file = load_scan(path, frames_in_memory='no')
        size = read_frame_size(path)
        finish(writer)
    for one in (read, from_file):
        assert_frames(one, scan, slice(0, 15))
        assert one.source == str(path)
        said = '\n'.join(one.decisions)
        assert 'scan.cxi is still being written' in said
        assert f'18 frames of {DATA}' in said
        assert '3 frames have no position within the scan and were dropped' in said
    assert size == SIZE
    whole = load_scan(path)
    assert_frames(whole, scan, slice(None))
    assert not any('still being written' in decision for decision in whole.decisions)


def test_more_positions_than_frames(tmp_path: Path, scan: ScanData) -> None:
    path = tmp_path / 'scan.cxi'
    with writing(path, frames=12, positions=25):
        read = load_scan(path)
    assert_frames(read, scan, slice(0, 12))
    assert '13 positions have no frame and were left out' in read.decisions


@pytest.mark.parametrize('killed', [False, True])
def test_frames_that_have_room_only_are_left_out(
    tmp_path: Path, scan: ScanData, *, killed: bool
) -> None:
    path = tmp_path / 'scan.cxi'
    with writing(path, frames=14, positions=25, kind='preallocated') as writer:
        if killed:
            writer.kill()
            writer.wait()
        read = load_scan(path)
    assert_frames(read, scan, slice(0, 14))
    # The fill value is the largest one, which would mask every pixel.
    np.testing.assert_array_equal(read.mask, scan.mask)


@pytest.mark.parametrize('frames_in_memory', ['yes', 'no'])
def test_a_frame_that_comes_late_is_left_out(
    tmp_path: Path, scan: ScanData, frames_in_memory: Any
) -> None:
    path = tmp_path / 'scan.cxi'
    with writing(path, frames=10, positions=25, kind='gap'):
        read = load_scan(path, frames_in_memory=frames_in_memory)
    assert_frames(read, scan, [0, 1, 2, 3, 5, 6, 7, 8, 9])
    assert '1 of 10 frames without data were left out: 4' in read.decisions


def test_a_file_of_a_writer_that_lets_nobody_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'scan.cxi'
    with writing(path, frames=18, positions=15, kind='no-swmr'):
        said = fault(path)
    assert f'{path} is open for writing in another program' in said
    assert 'SWMR' in said


def test_a_copy_that_finds_no_room_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written_part, 'room_for_copies', lambda: 5_000)
    path = tmp_path / 'scan.cxi'
    with writing(path, frames=18, positions=15):
        said = fault(path)
    assert f'{path} is being written and is copied for that' in said
    assert 'TMPDIR' in said


def test_faults_name_the_file_and_not_its_copy(tmp_path: Path) -> None:
    path = tmp_path / 'scan.cxi'
    with writing(path, frames=0, positions=0):
        said = fault(path, diffraction_type='APS_CSSI')
        nothing = fault(path)
    assert f'{path} cannot be read as APS_CSSI' in said
    assert 'ptychopinn-' not in said
    assert 'scan.cxi holds 0 frames' in nothing


def test_frames_and_positions_that_were_never_written_to_a_closed_file(
    tmp_path: Path, scan: ScanData
) -> None:
    path = write_cxi(tmp_path / 'scan.cxi', scan)
    with h5py.File(path, 'r+') as file:
        values, points = frames(scan).astype(np.int32), file[POSITIONS][()]
        del file[DATA]
        values[[3, 24]], points[7] = -1, np.nan
        data = file.create_dataset(DATA, values.shape, np.int32, fillvalue=-1)
        data[...] = values
        file[POSITIONS][...] = points
    read = load_scan(path)
    assert_frames(read, scan, [i for i in range(25) if i not in (3, 7, 24)])
    assert '2 of 25 frames without data were left out: 3, 24' in read.decisions
    assert '1 of 23 frames without a position were left out: 7' in read.decisions


@pytest.mark.parametrize('share', [0.3, 0.9])
def test_an_npz_or_npy_that_is_not_complete_is_refused(tmp_path: Path, share: float) -> None:
    scan = make_scan(frame_size=16, side=5)
    np.savez(tmp_path / 'scan.npz', **canonical(scan))
    np.save(tmp_path / 'frames.npy', scan.counts)
    for name in ('scan.npz', 'frames.npy'):
        path = tmp_path / name
        part = path.read_bytes()[: int(share * path.stat().st_size)]
        path.with_name(f'part-{name}').write_bytes(part)
    assert 'still being written' in fault(tmp_path / 'part-scan.npz')
    whole = tmp_path / 'scan.npz'
    assert 'still being written' in fault(whole, frames=str(tmp_path / 'part-frames.npy'))
