"""Frames that stay in their file have the values of frames in memory, bit for bit."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io import frame_files
from ptychopinn_plugin.io.frame_files import FramesInMemory
from ptychopinn_plugin.io.model_file.fingerprints import data_fingerprint
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.frame_source import ContiguousFrames, frames_in_file
from ptychopinn_plugin.scan.preflight import preflight
from tests.helpers import make_scan
from tests.io.npz_files import canonical


def members_of(scan: ScanData, frames: Any, key: str = 'diff3d', **more: Any) -> dict[str, Any]:
    members = canonical(scan)
    del members['diffraction']
    return members | {key: frames} | more


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=16, side=5, step_px=3.0, photons=1e5)


def with_dark_frame_and_bad_pixels(scan: ScanData) -> dict[str, Any]:
    counts = scan.counts.astype(np.uint16)
    counts[7] = 0
    counts[:, 3, 4] = 65535
    bad = np.zeros(scan.mask.shape, np.bool_)
    bad[0, :2] = True
    return members_of(scan, counts, bad_pixels=bad)


FORMS: dict[str, Any] = {
    'integer counts, a dark frame, bad pixels': with_dark_frame_and_bad_pixels,
    'amplitudes of whole counts': canonical,
    'amplitudes of any number': lambda scan: canonical(scan) | {'diffraction': scan.counts**0.3},
    'float64 counts': lambda scan: members_of(scan, scan.counts.astype(np.float64)),
    'big-endian counts': lambda scan: members_of(scan, scan.counts.astype('>u4')),
    'frames last': lambda scan: members_of(scan, np.moveaxis(scan.counts, 0, 2).copy()),
    'Fortran order': lambda scan: members_of(scan, np.asfortranarray(scan.counts)),
}


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_same_scan(tmp_path: Path, scan: ScanData, form: str, save: Any) -> None:
    path = tmp_path / 's.npz'
    save(path, **FORMS[form](scan))
    inside, outside = (load_scan(path, frames_in_memory=choice) for choice in ('yes', 'no'))
    assert frames_in_file(inside.counts) is None
    stack = frames_in_file(outside.counts)
    assert stack is not None
    np.testing.assert_array_equal(np.asarray(outside.counts), inside.counts)
    np.testing.assert_array_equal(outside.probe, inside.probe)
    np.testing.assert_array_equal(outside.mask, inside.mask)
    said = [one for one in outside.decisions if 'read in batches' in one]
    assert set(inside.decisions) == set(outside.decisions) - set(said)
    stored = save is np.savez and form not in ('frames last', 'Fortran order')
    assert ('stay in the file' if stored else 'temporary file') in said[0]
    assert preflight(outside).model_dump(exclude={'decisions'}) == preflight(inside).model_dump(
        exclude={'decisions'}
    )
    chosen = np.array([9, 2, 3, 4])
    some = outside.subset(chosen)
    assert frames_in_file(some.counts) is not None
    np.testing.assert_array_equal(np.asarray(some.counts), inside.counts[chosen])
    np.testing.assert_array_equal(outside.counts[5], inside.counts[5])
    np.testing.assert_array_equal(outside.counts[:, ~inside.mask], inside.counts[:, ~inside.mask])
    assert data_fingerprint([outside]) == data_fingerprint([inside])


@pytest.mark.parametrize(
    'options', [{'dc': 'corner'}, {'photons': 500.0}, {'domain': 'amplitude'}], ids=str
)
def test_same_scan_with_options(tmp_path: Path, scan: ScanData, options: dict[str, Any]) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    inside, outside = (
        load_scan(path, frames_in_memory=choice, **options) for choice in ('yes', 'no')
    )
    np.testing.assert_array_equal(np.asarray(outside.counts), inside.counts)
    np.testing.assert_array_equal(outside.probe, inside.probe)


@pytest.mark.parametrize('choice', ['yes', 'no'])
@pytest.mark.parametrize('place', ['.npy', 'Fortran', '/entry_1/data_1/data', '/any/name', 'gzip'])
def test_frames_in_a_file_of_their_own(
    tmp_path: Path, scan: ScanData, place: str, choice: FramesInMemory
) -> None:
    members = members_of(scan, scan.counts.astype(np.uint16))
    counts = members.pop('diff3d')
    path, frames = tmp_path / 's.npz', str(tmp_path / 'frames.npy')
    np.savez(path, **members)
    if place in ('.npy', 'Fortran'):
        np.save(frames, np.asfortranarray(counts) if place == 'Fortran' else counts)
    else:
        file = tmp_path / 'frames.cxi'
        frames = f'{file}:{place}' if place == '/any/name' else str(file)
        options = {'compression': 'gzip', 'chunks': (7, 5, 16)} if place == 'gzip' else {}
        name = '/entry/data/data' if place == 'gzip' else place
        with h5py.File(file, 'w') as opened:
            opened.create_dataset(name, data=counts, **options)
    read = load_scan(path, frames=frames, frames_in_memory=choice)
    assert (frames_in_file(read.counts) is None) == (choice == 'yes')
    np.testing.assert_array_equal(np.asarray(read.counts), scan.counts)
    assert any('its dtype uint16 is an integer' in one for one in read.decisions)


@pytest.mark.parametrize(
    ('frames', 'said'),
    [
        ('none.npy', 'there is no file'),
        ('empty.h5', 'has no dataset /entry_1/data_1/data, /entry/data/data, /patterns'),
        ('empty.h5:/data', 'has no dataset /data;'),
        ('flat.npy', r'must hold real numbers of shape \(n, N, N\), got float64 \(4,\)'),
        ('short.npy', 'cannot be read'),
        ('few.npy', '3 diffraction patterns need'),
    ],
)
def test_no_frames_in_a_file_of_their_own(
    tmp_path: Path, scan: ScanData, frames: str, said: str
) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts))
    h5py.File(tmp_path / 'empty.h5', 'w').close()
    np.save(tmp_path / 'flat.npy', np.zeros(4))
    np.save(tmp_path / 'few.npy', scan.counts[:3])
    (tmp_path / 'short.npy').write_bytes((tmp_path / 'few.npy').read_bytes()[:-5])
    for choice in ('yes', 'no'):
        with pytest.raises(ScanDataError, match=said):
            load_scan(path, frames=str(tmp_path / frames), frames_in_memory=choice)


def test_integers_are_read_as_stored(tmp_path: Path, scan: ScanData) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    stack = frames_in_file(load_scan(path, frames_in_memory='no').counts)
    assert stack is not None
    found = stack.source.read(np.array([3, 1]))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, scan.counts[[3, 1]])


def test_frames_that_do_not_fit_stay_in_their_file(
    tmp_path: Path, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    assert frames_in_file(load_scan(path).counts) is None
    needed = 2 * scan.counts.nbytes + frame_files.BESIDE
    monkeypatch.setattr(frame_files, 'free_memory', lambda: needed - 1)
    assert frames_in_file(load_scan(path).counts) is not None
    monkeypatch.setattr(frame_files, 'free_memory', lambda: needed)
    assert frames_in_file(load_scan(path).counts) is None


def test_faults_are_those_of_frames_in_memory(tmp_path: Path, scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[11, 2, 3], counts[12, 2, 3] = np.nan, -1
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, counts))
    faults = []
    for choice in ('yes', 'no'):
        with pytest.raises(ScanDataError) as caught:
            load_scan(path, frames_in_memory=choice)
        faults.append(caught.value.faults)
    assert faults[0] == faults[1]
    assert 'counts[11, 2, 3] is NaN' in ' '.join(faults[1])


def test_a_damaged_member_is_refused(tmp_path: Path, scan: ScanData) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    stack = frames_in_file(load_scan(path, frames_in_memory='no').counts)
    assert stack is not None
    assert isinstance(stack.source, ContiguousFrames)
    with path.open('r+b') as file:
        file.seek(stack.source.offset + 100)
        file.write(b'\xff\x07')
    with pytest.raises(ScanDataError, match="member 'diff3d' is damaged"):
        load_scan(path, frames_in_memory='no')


def test_a_file_that_is_cut_short_meanwhile(tmp_path: Path, scan: ScanData) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    read = load_scan(path, frames_in_memory='no')
    with path.open('r+b') as file:
        file.truncate(1000)
    with pytest.raises(ScanDataError, match='cut short while it was read'):
        np.asarray(read.counts)


def test_frames_are_not_sent_to_other_processes(tmp_path: Path, scan: ScanData) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    read = load_scan(path, frames_in_memory='no')
    with pytest.raises(ScanDataError, match='num_workers = 0'):
        pickle.dumps(read)


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='no process is forked here')
def test_a_forked_process_reads_the_same_file(tmp_path: Path, scan: ScanData) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    stack = frames_in_file(load_scan(path, frames_in_memory='no').counts)
    assert stack is not None
    assert isinstance(stack.source, ContiguousFrames)
    # A forked process shares the file's position: reading must neither use nor move it.
    stack.source.file.seek(17)
    np.testing.assert_array_equal(stack[3:5], scan.counts[3:5])
    assert stack.source.file.tell() == 17


def test_no_room_for_a_temporary_file(
    tmp_path: Path, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 's.npz'
    np.savez_compressed(path, **members_of(scan, scan.counts.astype(np.uint16)))
    usage = dataclasses.make_dataclass('Usage', ['free'])(1000)
    monkeypatch.setattr('shutil.disk_usage', lambda folder: usage)
    with pytest.raises(ScanDataError, match='set TMPDIR to a folder with more'):
        load_scan(path, frames_in_memory='no')


def test_a_copy_of_a_scan_is_not_read_again(
    tmp_path: Path, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    read = load_scan(path, frames_in_memory='no')
    stack = frames_in_file(read.counts)
    assert stack is not None
    monkeypatch.setattr(type(stack.source), 'read', None)
    dataclasses.replace(read, probe=2 * read.probe)


@pytest.mark.parametrize(
    'inference',
    [
        InferenceConfig(refine_iterations=3, update_probe='off'),
        pytest.param(
            InferenceConfig(
                refine_iterations=4,
                update_probe='on',
                update_positions='on',
                update_flux=True,
                update_background=True,
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=['object', 'everything'],
)
def test_same_reconstruction(
    tmp_path: Path, engine: Engine, scan: ScanData, inference: InferenceConfig
) -> None:
    path = tmp_path / 's.npz'
    np.savez(path, **members_of(scan, scan.counts.astype(np.uint16)))
    inside, outside = (
        engine.reconstruct(load_scan(path, frames_in_memory=choice), inference, None, Monitor())
        for choice in ('yes', 'no')
    )
    np.testing.assert_array_equal(outside.object_canvas, inside.object_canvas)
    np.testing.assert_array_equal(outside.probe, inside.probe)
    np.testing.assert_array_equal(outside.residual, inside.residual)
    assert outside.remarks == inside.remarks
