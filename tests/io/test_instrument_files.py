"""Files of instruments: types are found or asked for, and the scan is the one that was written."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ptychodus.api import io as ptychodus_io

from ptychopinn_plugin import load_scan
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import InstrumentOptions, ScanOptions
from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.io.ptychodus import readers
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.frame_source import frames_in_file
from tests.io.instrument_files import (
    DISTANCE_M,
    ENERGY_EV,
    GEOMETRY,
    PIXEL_M,
    SIZE,
    WHOLE_SCANS,
    InstrumentFile,
    frames,
    instrument_scan,
    positions_m,
    write_csv,
    write_cxi,
    write_hdf5,
    write_text,
    write_velociprobe,
)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return instrument_scan()


def assert_same(read: ScanData, scan: ScanData, atol_px: float = 1e-6) -> None:
    np.testing.assert_array_equal(read.counts, scan.counts)
    np.testing.assert_allclose(read.positions_px, scan.positions_px, atol=atol_px)
    assert read.metadata.pixel_size_m == pytest.approx((PIXEL_M, PIXEL_M))


def fault(path: Path, **options: Any) -> str:
    with pytest.raises(ScanDataError) as caught:
        load_scan(path, **options)
    return '\n'.join(caught.value.faults)


@pytest.mark.parametrize('name', ['scan.cxi', 'scan.h5', 'scan.nxs'])
def test_a_cxi_file_of_any_name(tmp_path: Path, scan: ScanData, name: str) -> None:
    path = write_cxi(tmp_path / name, scan)
    read = load_scan(path)
    assert_same(read, scan)
    np.testing.assert_array_equal(read.probe, scan.probe)
    assert read.metadata.photon_energy_ev == pytest.approx(ENERGY_EV)
    assert read.metadata.detector_distance_m == DISTANCE_M
    assert f'{name} is read as CXI' in read.decisions
    assert read_frame_size(path) == SIZE


def test_an_energy_in_electronvolts_is_known_by_its_size(tmp_path: Path, scan: ScanData) -> None:
    read = load_scan(write_cxi(tmp_path / 's.cxi', scan, energy=ENERGY_EV))
    assert_same(read, scan)
    assert any('electronvolts, not joules' in decision for decision in read.decisions)


def test_a_cxi_product_of_ptychodus_gives_probe_and_object(tmp_path: Path) -> None:
    scan = instrument_scan()
    save_ptychodus_pair(tmp_path / 'pair', scan)
    product = ptychodus_io.load_product(tmp_path / 'pair' / 'product.h5')
    readers.load_registry().product_file_writers.get_strategy_by_name('CXI').write(
        tmp_path / 'p.cxi', product
    )
    write_hdf5(tmp_path / 'scan.h5', {'/exchange/data': frames(scan)})
    size: dict[str, Any] = {'pixel_size_m': product.object_.get_geometry().pixel_width_m}
    read = load_scan(tmp_path / 'scan.h5', product=tmp_path / 'p.cxi', **size)
    np.testing.assert_allclose(read.positions_px, load_scan(tmp_path / 'pair').positions_px)
    np.testing.assert_array_equal(read.probe, scan.probe)
    assert read.object_guess is not None
    np.testing.assert_array_equal(
        load_scan(tmp_path / 'pair', probe=tmp_path / 'p.cxi').probe, scan.probe
    )


@pytest.mark.parametrize('kind', WHOLE_SCANS, ids=lambda kind: kind.type_name)
def test_a_file_of_one_instrument_is_known_by_what_it_holds(
    tmp_path: Path, scan: ScanData, kind: InstrumentFile
) -> None:
    path = write_hdf5(tmp_path / 'scan.h5', kind.content(scan))
    asked: dict[str, Any] = {
        name: value for name, value in GEOMETRY.items() if name not in kind.knows
    }
    read = load_scan(path, needs_probe=False, **asked)
    assert_same(read, scan)
    assert f'scan.h5 is read as {kind.type_name}' in read.decisions
    assert read.metadata.probe_is_unknown


def test_a_detector_is_cut_around_the_beam_of_its_master_file(
    tmp_path: Path, scan: ScanData
) -> None:
    scan = scan.subset(np.arange(24))
    path = write_velociprobe(tmp_path, scan, beam=(17, 29))
    positions = f'{tmp_path}/fly_positions.txt'
    said = fault(path, positions=positions, needs_probe=False)
    assert 'APS_Velociprobe_LI, APS_Velociprobe_PE' in said
    assert 'load_scan(positions=...) as FILE:TYPE' in said
    named = f'{positions}:APS_Velociprobe_LI'
    read = load_scan(path, positions=named, needs_probe=False, crop=SIZE)
    np.testing.assert_array_equal(read.counts, scan.counts)
    # The instrument's positions are whole nanometres about their mean.
    centred = scan.positions_px - scan.positions_px.mean(axis=0)
    off = read.positions_px - read.positions_px.mean(axis=0) - centred
    assert np.abs(off).max() < 1.0e-9 / PIXEL_M
    options = ScanOptions(instrument=InstrumentOptions(crop=12))
    assert read_frame_size(path, options) == 12
    # The largest power of two around the beam, as Ptychodus has it.
    assert read_frame_size(path) == 32
    given = load_scan(
        path, positions=named, needs_probe=False, crop=12, beam_center=(16, 30)
    ).counts
    np.testing.assert_array_equal(given, scan.counts[:, 1:13, 3:15])
    assert 'at most 34 do' in fault(path, positions=named, needs_probe=False, crop=40)


def test_the_beam_is_found_where_the_file_does_not_say(tmp_path: Path, scan: ScanData) -> None:
    wide = np.zeros((scan.frame_count, 30, 48), np.uint16)
    wide[:, 5 : 5 + SIZE, 11 : 11 + SIZE] = scan.counts
    wide[:, 2, 40] = np.iinfo(np.uint16).max
    path = write_hdf5(tmp_path / 's.h5', {'/exchange/data': wide})
    positions = str(write_csv(tmp_path / 'p.csv', scan))
    read = load_scan(path, positions=positions, needs_probe=False, crop=SIZE, **GEOMETRY)
    (said,) = [one for one in read.decisions if 'the centre of mass of the light' in one]
    row, column = map(int, re.findall(r'row (\d+), column (\d+)', said)[0])
    assert abs(row - 13) <= 2
    assert abs(column - 19) <= 2


def test_a_file_of_several_instruments_is_asked_for(tmp_path: Path, scan: ScanData) -> None:
    path = write_hdf5(tmp_path / 'nexus.h5', {'/entry/data/data': frames(scan)})
    said = fault(path)
    assert 'CNM_APS_HXN' in said
    assert 'APS_PtychoSAXS' in said
    assert 'load_scan(diffraction_type=...)' in said
    options: dict[str, Any] = {'needs_probe': False, **GEOMETRY}
    positions = str(write_csv(tmp_path / 'p.csv', scan))
    read = load_scan(path, diffraction_type='cnm_aps_hxn', positions=positions, **options)
    assert_same(read, scan)
    text = f'{write_text(tmp_path / "p.data", scan)}:TXT'
    assert_same(load_scan(path, diffraction_type='CNM_APS_HXN', positions=text, **options), scan)


@pytest.mark.parametrize('name', ['frames_01.tif', 'frames.npy'])
def test_frames_in_images_and_arrays(tmp_path: Path, scan: ScanData, name: str) -> None:
    if name.endswith('.npy'):
        np.save(tmp_path / name, frames(scan))
    else:
        tifffile = pytest.importorskip('tifffile')
        for number, frame in enumerate(frames(scan)):
            tifffile.imwrite(tmp_path / f'frames_{number:02d}.tif', frame)
    positions = str(write_csv(tmp_path / 'p.csv', scan))
    read = load_scan(tmp_path / name, positions=positions, needs_probe=False, **GEOMETRY)
    assert_same(read, scan)


def test_frames_stay_in_their_file(tmp_path: Path, scan: ScanData) -> None:
    path = write_cxi(tmp_path / 's.cxi', scan)
    left = load_scan(path, frames_in_memory='no')
    assert frames_in_file(left.counts) is not None
    assert_same(left, scan)
    cut: dict[str, Any] = {'crop': 12, 'beam_center': (8, 8), 'probe': scan.probe[:, 2:14, 2:14]}
    copied = load_scan(path, frames_in_memory='no', **cut)
    assert frames_in_file(copied.counts) is not None
    np.testing.assert_array_equal(copied.counts, load_scan(path, **cut).counts)
    np.testing.assert_array_equal(copied.counts, scan.counts[:, 2:14, 2:14])


def test_frames_without_a_position_are_dropped_and_counted(tmp_path: Path, scan: ScanData) -> None:
    path = write_cxi(tmp_path / 's.cxi', scan)
    with h5py.File(path, 'r+') as file:
        del file['/entry_1/sample_1/geometry_1/translation']
        file['/entry_1/sample_1/geometry_1/translation'] = positions_m(scan)[:20]
    read = load_scan(path)
    np.testing.assert_array_equal(read.counts, scan.counts[:20])
    assert any(one.startswith('5 frames have no position') for one in read.decisions)


def test_world_positions_come_back_in_a_product(tmp_path: Path, scan: ScanData) -> None:
    save_ptychodus_pair(tmp_path / 'pair', load_scan(write_cxi(tmp_path / 's.cxi', scan)))
    product = ptychodus_io.load_product(tmp_path / 'pair' / 'product.h5')
    found = [(p.x_m, p.y_m) for p in product.probe_positions]
    np.testing.assert_allclose(found, positions_m(scan), atol=1e-6 * PIXEL_M)


def test_what_is_missing_is_said_with_the_way_to_give_it(tmp_path: Path, scan: ScanData) -> None:
    path = write_hdf5(tmp_path / 's.h5', {'/exchange/data': frames(scan)})
    said = fault(path, needs_probe=False)
    assert 'cannot be read as APS_CSSI' in said or 'no positions' in said
    positions = str(write_csv(tmp_path / 'p.csv', scan))
    said = fault(path, positions=positions, needs_probe=False)
    assert 'load_scan(photon_energy_ev=...) and load_scan(detector_distance_m=...)' in said
    said = fault(path, positions=positions, **GEOMETRY)
    assert 'load_scan(probe=...)' in said
    assert 'has no type' in fault(path, diffraction_type='LYNX')
    assert 'there is no file' in fault(path, positions=f'{tmp_path}/none.csv')
    assert 'leave it out' in fault(path, dc='corner')


def test_a_mask_of_the_whole_detector_is_cut_as_the_frames_are(
    tmp_path: Path, scan: ScanData
) -> None:
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[3, 4] = True
    np.save(tmp_path / 'm.npy', mask)
    cut: dict[str, Any] = {'crop': 12, 'beam_center': (8, 8), 'probe': scan.probe[:, 2:14, 2:14]}
    read = load_scan(write_cxi(tmp_path / 's.cxi', scan), mask=tmp_path / 'm.npy', **cut)
    assert np.argwhere(read.mask).tolist() == [[1, 2]]


def test_errors_of_readers_are_sentences_without_names_of_python(
    tmp_path: Path, scan: ScanData
) -> None:
    path = write_cxi(tmp_path / 's.cxi', scan)
    for damage in ('data', 'translation'):
        with h5py.File(path, 'r+') as file:
            name = '/entry_1/instrument_1/detector_1/data'
            name = name if damage == 'data' else '/entry_1/sample_1/geometry_1/translation'
            del file[name]
            file[name] = np.zeros((2, 2, 2, 2))
        assert 'Error' not in fault(path, diffraction_type='CXI')
    (tmp_path / 'p.csv').write_text('1,zwei\n')
    whole = write_cxi(tmp_path / 'w.cxi', scan)
    assert 'could not convert string' in fault(whole, positions=f'{tmp_path}/p.csv')


@pytest.mark.parametrize('kind', ['cycle', 'outside', 'never stored', 'pipe'])
def test_hostile_files_are_refused_before_a_reader_has_them(
    tmp_path: Path, scan: ScanData, kind: str
) -> None:
    path = write_cxi(tmp_path / 's.cxi', scan)
    with h5py.File(path, 'r+') as file:
        if kind == 'cycle':
            file['entry_1/again'] = file['entry_1']
        elif kind == 'outside':
            file['entry_1/other'] = h5py.ExternalLink('/etc/passwd', '/data')
        elif kind == 'never stored':
            file.create_dataset('entry_1/huge', shape=(2**33,), dtype='f8', chunks=(2**20,))
        else:
            file['entry_1/other'] = h5py.ExternalLink('pipe.h5', '/data')
            os.mkfifo(tmp_path / 'pipe.h5')
    said = fault(path)
    assert {
        'cycle': 'contains itself',
        'outside': 'only files in the folder',
        'never stored': 'never stored as a whole',
        'pipe': 'pipe',
    }[kind] in said


def test_a_reader_of_another_package_is_used_by_its_name(
    tmp_path: Path, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = readers.readers
    (known,) = [one for one in before('diffraction') if one.name == 'APS_CSSI']
    ours = dataclasses.replace(known, name='Ours', endings=('.ours',))
    monkeypatch.setattr(
        readers, 'readers', lambda kind: [ours] if kind == 'diffraction' else before(kind)
    )
    path = write_hdf5(tmp_path / 's.ours', {'/exchange/data': frames(scan)})
    positions = str(write_csv(tmp_path / 'p.csv', scan))
    read = load_scan(path, positions=positions, needs_probe=False, **GEOMETRY)
    assert 's.ours is read as Ours' in read.decisions
