"""Files of instruments on the command line, and their conversion."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn_plugin import load_scan
from tests.cli.conftest import Run
from tests.io.instrument_files import (
    GEOMETRY,
    frames,
    instrument_scan,
    write_csv,
    write_cxi,
    write_hdf5,
)


@pytest.fixture
def cxi(folder: Path) -> Path:
    return write_cxi(folder / 'star.cxi', instrument_scan())


def flags_of_geometry() -> list[str]:
    return [f'--{name.replace("_", "-")}={value}' for name, value in GEOMETRY.items()]


def test_to_npz_counts_stay_integers_and_the_scan_is_the_same(run: Run, cxi: Path) -> None:
    shown = run('convert', 'star.cxi', 'star.npz', '--quiet')
    assert (shown.code, shown.err) == (0, '')
    assert shown.out == 'star.npz: 25 frames of 16 x 16 pixels\n'
    with np.load('star.npz') as arrays:
        assert arrays['diffraction'].dtype == np.uint16
        assert str(arrays['measurement_domain']) == 'counts'
    one, two = load_scan(cxi), load_scan('star.npz')
    for name in ('counts', 'positions_px', 'probe', 'mask'):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.metadata.pixel_size_m == two.metadata.pixel_size_m
    left = load_scan('star.npz', frames_in_memory='no')
    assert any('stay in the file' in decision for decision in left.decisions)


def test_to_ptychodus_and_back(run: Run, cxi: Path) -> None:
    assert run('convert', 'star.cxi', 'pair').code == 0
    with h5py.File('pair/diffraction.h5') as file:
        assert file['patterns'].dtype == np.uint16
    assert run('convert', 'pair', 'back.npz').code == 0
    one, two = load_scan(cxi), load_scan('back.npz')
    np.testing.assert_array_equal(one.counts, two.counts)
    off = two.positions_px - one.positions_px
    np.testing.assert_allclose(off, np.broadcast_to(off[:1], off.shape), atol=1e-6)


def test_frames_larger_than_memory_and_without_a_probe(run: Run, folder: Path) -> None:
    scan = instrument_scan()
    write_hdf5(folder / 'a.h5', {'/exchange/data': frames(scan)})
    write_csv(folder / 'p.csv', scan)
    words = ('--positions', 'p.csv', '--frames-in-memory', 'no', *flags_of_geometry())
    assert run('convert', 'a.h5', 'a.npz', *words).code == 0
    with np.load('a.npz') as arrays:
        assert 'probeGuess' not in arrays
        np.testing.assert_array_equal(arrays['diffraction'], scan.counts)


@pytest.mark.parametrize(
    ('out', 'said'),
    [
        ('star.h5', 'converted to an .npz file, or to a folder'),
        ('none/star.npz', 'there is no folder none'),
        ('star.cxi', 'converted to an .npz file'),
    ],
)
def test_names_that_will_not_do(run: Run, cxi: Path, out: str, said: str) -> None:
    shown = run('convert', 'star.cxi', out)
    assert shown.code == 2
    assert said in shown.err


def test_what_cannot_be_read_leaves_nothing_behind(run: Run, folder: Path, cxi: Path) -> None:
    cxi.write_bytes(cxi.read_bytes()[:3000])
    before = set(folder.iterdir())
    shown = run('convert', 'star.cxi', 'star.npz')
    assert shown.code == 2
    assert 'Error' not in shown.err
    assert set(folder.iterdir()) == before


def test_messages_name_the_flags(run: Run, folder: Path) -> None:
    write_hdf5(folder / 'nexus.h5', {'/entry/data/data': frames(instrument_scan())})
    shown = run('check', 'nexus.h5')
    assert shown.code == 2
    assert 'name the one that it is with --diffraction-type' in shown.err
    assert '--beam-center' in run('check', 'nexus.h5', '--beam-center', '3').err


@pytest.mark.usefixtures('fake_engine')
def test_check_train_reconstruct_and_batch_read_files_of_instruments(run: Run, cxi: Path) -> None:
    assert json.loads(run('check', 'star.cxi', '--json', '--no-trials').out)['frames'] == 25
    trained = run('train', 'star.cxi', '--model', 'm.safetensors', '--epochs', 1)
    assert trained.code == 0, trained.err
    done = run('reconstruct', 'star.cxi', '--output', 'o.npz', '--crop', 14, '--model', 'none',
               '--probe', 'probe.npy')  # fmt: skip
    assert 'there is no file probe.npy' in done.err
    np.save('probe.npy', instrument_scan().probe[0, 1:15, 1:15])
    done = run('reconstruct', 'star.cxi', '--output', 'o.npz', '--crop', 14, '--model', 'none',
               '--probe', 'probe.npy')  # fmt: skip
    assert done.code == 0, done.err


@pytest.mark.usefixtures('fake_engine')
def test_a_batch_finds_the_positions_of_each_scan_by_its_name(run: Run, folder: Path) -> None:
    scan = instrument_scan()
    for name in ('a', 'b'):
        write_hdf5(folder / f'{name}.h5', {'/exchange/data': frames(scan)})
        write_csv(folder / f'{name}-positions.csv', scan)
    words = ('--output', 'results', '--model', 'none', '--positions', '{name}-positions.csv')
    shown = run('batch', 'a.h5', 'b.h5', *words, *flags_of_geometry())
    assert shown.code == 0, shown.err
    record = json.loads((folder / 'results/a.json').read_text())
    assert str(folder / 'a-positions.csv') in record['origin']['files']
    shown = run('train', 'a.h5', 'b.h5', '--model', 'm.safetensors', '--positions', 'p.csv')
    assert shown.code == 2
    assert '{name} in it stands for the name' in shown.err
