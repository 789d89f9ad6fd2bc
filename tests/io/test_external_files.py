"""HDF5 files that lead to other files: those of the same folder are read, others when asked for."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn_plugin import load_scan
from ptychopinn_plugin.cli.main import main
from ptychopinn_plugin.errors import ResultFileError, ScanDataError
from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.io.hdf5_tree import tree_faults
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.io.numbered_files import NumberedFiles
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan
from tests.io.instrument_files import instrument_scan, write_cxi

DATASETS = ('patterns', 'indexes', 'bad_pixels')
ASK = r'load_scan\(external_files=True\)'


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(side=3, frame_size=8, step_px=2.0)


def write_linked(folder: Path, scan: ScanData, filename: str) -> Path:
    """Write a scan whose diffraction file is links, its data at `elsewhere/frames.h5` beside it."""
    (folder / 'elsewhere').mkdir()
    here = folder / 'scan'
    save_ptychodus_pair(here, scan)
    (here / 'diffraction.h5').rename(folder / 'elsewhere' / 'frames.h5')
    with h5py.File(here / 'diffraction.h5', 'w') as file:
        for name in DATASETS:
            file[name] = h5py.ExternalLink(filename.format(folder=folder), name)
    return here


def fault(path: Path, **options: Any) -> str:
    with pytest.raises(ScanDataError) as caught:
        load_scan(path, **options)
    return str(caught.value)


@pytest.mark.parametrize('filename', ['../elsewhere/frames.h5', '{folder}/elsewhere/frames.h5'])
@pytest.mark.parametrize('frames_in_memory', ['yes', 'no'])
def test_links_to_other_folders_are_followed_when_asked_for(
    tmp_path: Path, scan: ScanData, filename: str, frames_in_memory: Any
) -> None:
    here = write_linked(tmp_path, scan, filename)
    with pytest.raises(ScanDataError, match=ASK):
        load_scan(here)
    read = load_scan(here, external_files=True, frames_in_memory=frames_in_memory)
    everything = np.arange(scan.frame_count)
    np.testing.assert_array_equal(read.subset(everything).counts, scan.counts)


def test_chained_links_need_to_be_asked_for_where_one_of_them_leads_away(
    tmp_path: Path, scan: ScanData
) -> None:
    here = write_linked(tmp_path, scan, 'second.h5')
    with h5py.File(here / 'second.h5', 'w') as file:
        for name in DATASETS:
            file[name] = h5py.ExternalLink('../elsewhere/third.h5', f'/group/{name}')
    with h5py.File(tmp_path / 'elsewhere' / 'third.h5', 'w') as file:
        # Relative to the folder of this file, not to that of the first.
        file['group'] = h5py.ExternalLink('frames.h5', '/')
    with pytest.raises(ScanDataError, match=rf"third\.h5'; only files .*{ASK}"):
        load_scan(here)
    assert load_scan(here, external_files=True).frame_count == scan.frame_count
    # Their order is that of the files, and no link leads back for ever.
    with h5py.File(tmp_path / 'elsewhere' / 'third.h5', 'w') as file:
        file['group'] = h5py.ExternalLink('../scan/second.h5', '/')
        file['patterns'] = h5py.ExternalLink('../scan/diffraction.h5', 'patterns')
    with h5py.File(here / 'second.h5', 'w') as file:
        file['patterns'] = h5py.ExternalLink('../elsewhere/third.h5', 'patterns')
    with pytest.raises(ScanDataError, match='too many links'):
        load_scan(here, external_files=True)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (None, 'which is not there'),
        (b'\x89HDF\r\n\x1a\n' + bytes(40), 'cannot be read'),
        (b'no HDF5', 'cannot be read'),
    ],
    ids=['missing', 'cut', 'another'],
)
def test_damaged_linked_files_are_plain_errors(
    tmp_path: Path, scan: ScanData, content: bytes | None, words: str
) -> None:
    here = write_linked(tmp_path, scan, '../elsewhere/frames.h5')
    (tmp_path / 'elsewhere' / 'frames.h5').unlink()
    if content is not None:
        (tmp_path / 'elsewhere' / 'frames.h5').write_bytes(content)
    assert words in fault(here, external_files=True)


def test_a_cut_linked_file_is_a_plain_error(tmp_path: Path, scan: ScanData) -> None:
    here = write_linked(tmp_path, scan, '../elsewhere/frames.h5')
    linked = tmp_path / 'elsewhere' / 'frames.h5'
    linked.write_bytes(linked.read_bytes()[: linked.stat().st_size // 2])
    assert 'diffraction.h5' in fault(here, external_files=True)


def test_pipes_and_devices_are_refused_also_when_asked_for(tmp_path: Path, scan: ScanData) -> None:
    here = write_linked(tmp_path, scan, '../elsewhere/frames.h5')
    (tmp_path / 'elsewhere' / 'frames.h5').unlink()
    os.mkfifo(tmp_path / 'elsewhere' / 'frames.h5')
    assert 'is a named pipe' in fault(here, external_files=True)
    write_raw(here / 'diffraction.h5', scan, '/dev/zero')
    assert 'is a device' in fault(here, external_files=True)


def test_a_file_of_the_current_folder_is_no_neighbour(
    tmp_path: Path, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    # HDF5 looks there too where the folder of the file has none of that name.
    here = write_linked(tmp_path, scan, 'frames.h5')
    monkeypatch.chdir(tmp_path / 'elsewhere')
    assert 'only files of the same folder' in fault(here)
    assert load_scan(here, external_files=True).frame_count == scan.frame_count
    instrument = write_cxi(here / 'scan.cxi', instrument_scan())
    with h5py.File(instrument, 'r+') as file:
        file['more'] = h5py.ExternalLink('frames.h5', '/')
    assert 'and below may be linked to' in tree_faults(instrument)[0]
    assert tree_faults(instrument, external_files=True) == []


def test_links_of_moved_folders_lead_to_the_files_beside(tmp_path: Path, scan: ScanData) -> None:
    here = write_linked(tmp_path, scan, '/data/of/the/instrument/frames.h5')
    (tmp_path / 'elsewhere' / 'frames.h5').rename(here / 'frames.h5')
    assert load_scan(here).frame_count == scan.frame_count
    # A link of the file system to the master file is one to its folder.
    (tmp_path / 'linked').mkdir()
    for name in ('diffraction.h5', 'product.h5'):
        (tmp_path / 'linked' / name).symlink_to(here / name)
    assert load_scan(tmp_path / 'linked').frame_count == scan.frame_count


def write_raw(path: Path, scan: ScanData, filename: str) -> None:
    """Write a diffraction file with its frames in a file of raw values."""
    counts = scan.counts.astype('<u2')
    save_ptychodus_pair(path.parent, scan)
    with h5py.File(path, 'r+') as file:
        attributes = dict(file['patterns'].attrs)
        del file['patterns']
        external = [(filename, 7, h5py.h5f.UNLIMITED)]
        made = file.create_dataset('patterns', counts.shape, counts.dtype, external=external)
        made.attrs.update(attributes)
    if not Path(filename).is_char_device():
        Path(filename).write_bytes(bytes(7) + counts.tobytes())


@pytest.mark.parametrize('frames_in_memory', ['yes', 'no'])
def test_external_storage_is_read_when_asked_for(
    tmp_path: Path, scan: ScanData, frames_in_memory: Any
) -> None:
    raw = tmp_path / 'frames.raw'
    write_raw(tmp_path / 'diffraction.h5', scan, str(raw))
    with pytest.raises(ScanDataError, match=rf'outside of this one, which is .*{ASK}'):
        load_scan(tmp_path)
    read = load_scan(tmp_path, external_files=True, frames_in_memory=frames_in_memory)
    everything = np.arange(scan.frame_count)
    np.testing.assert_array_equal(read.subset(everything).counts, scan.counts)
    # HDF5 gives zeros for what a file lacks.
    raw.write_bytes(raw.read_bytes()[:-1])
    assert 'bytes where' in fault(tmp_path, external_files=True)
    raw.unlink()
    assert 'which is not there' in fault(tmp_path, external_files=True)


def test_virtual_datasets_show_other_folders_when_asked_for(tmp_path: Path, scan: ScanData) -> None:
    here = write_linked(tmp_path, scan, '../elsewhere/frames.h5')
    shape = scan.counts.shape
    with h5py.File(tmp_path / 'elsewhere' / 'frames.h5') as file:
        dtype, attributes = file['patterns'].dtype, dict(file['patterns'].attrs)
    with h5py.File(here / 'diffraction.h5', 'r+') as file:
        del file['patterns']
        layout = h5py.VirtualLayout(shape, dtype)
        layout[:] = h5py.VirtualSource('../elsewhere/frames.h5', 'patterns', shape)
        file.create_virtual_dataset('patterns', layout).attrs.update(attributes)
    assert 'only files of the same folder' in fault(here)
    read = load_scan(here, external_files=True)
    np.testing.assert_array_equal(read.counts, scan.counts)
    (tmp_path / 'elsewhere' / 'frames.h5').unlink()
    # HDF5 gives zeros for these too.
    assert 'which is not there' in fault(here, external_files=True)


def test_every_file_that_is_read_beside_a_scan_follows_the_same_rule(
    tmp_path: Path, scan: ScanData
) -> None:
    here = write_linked(tmp_path, scan, '../elsewhere/frames.h5')
    with h5py.File(here / 'product.h5', 'r+') as file:
        with h5py.File(tmp_path / 'elsewhere' / 'probe.h5', 'w') as other:
            file.copy('probe', other)
        del file['probe']
        file['probe'] = h5py.ExternalLink('../elsewhere/probe.h5', 'probe')
    save_npz(tmp_path / 'scan.npz', scan)
    every: tuple[dict[str, Any], ...] = (
        {'probe': here / 'product.h5'},
        {'frames': f'{here}/diffraction.h5:/patterns', 'domain': 'counts'},
    )
    for options in every:
        assert re.search(ASK, fault(tmp_path / 'scan.npz', **options))
        read = load_scan(tmp_path / 'scan.npz', external_files=True, **options)
        np.testing.assert_allclose(read.counts, scan.counts)
    with pytest.raises(ScanDataError, match=ASK):
        read_frame_size(here / 'product.h5')
    # Results are never followed to other folders.
    with pytest.raises(ResultFileError, match='only files of the same folder'):
        load_result(here / 'product.h5')


def test_a_command_names_the_flag_and_takes_it(
    tmp_path: Path, scan: ScanData, capsys: pytest.CaptureFixture[str]
) -> None:
    here = str(write_linked(tmp_path, scan, '../elsewhere/frames.h5'))
    assert main(['check', here, '--no-trials']) == 2
    assert 'are read with --external-files' in capsys.readouterr().err
    assert main(['check', here, '--no-trials', '--external-files']) != 2


def test_a_folder_that_is_followed(tmp_path: Path, scan: ScanData) -> None:
    here = write_linked(tmp_path, scan, '../elsewhere/frames.h5')
    (here / 'diffraction.h5').rename(here / 'frame-1.h5')
    (here / 'product.h5').unlink()
    with pytest.raises(ScanDataError, match=ASK):
        list(NumberedFiles(here).read_new(['/patterns']))
    ((_, number, frames),) = NumberedFiles(here, external_files=True).read_new(['/patterns'])
    assert number == 1
    np.testing.assert_array_equal(frames, scan.counts)
