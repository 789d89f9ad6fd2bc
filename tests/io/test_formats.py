"""One table says which reader, writer and frame size belong to which file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn_plugin import load_result, load_scan, save_reconstruction
from ptychopinn_plugin.io import formats
from ptychopinn_plugin.io.file_format import FileFormat, ScanOptions
from ptychopinn_plugin.scan import Reconstruction, ScanData
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write
from tests.io.result_examples import known_reconstruction


def test_endings_and_signatures_belong_to_one_format() -> None:
    endings = [ending for row in formats.FORMATS for ending in row.endings]
    assert len(set(endings)) == len(endings)
    signatures = [row.signature for row in formats.FORMATS]
    assert not any(
        one.startswith(other) for one in signatures for other in signatures if one is not other
    )


@pytest.mark.parametrize('name', ['scan.npz', 'SCAN.NPZ', 'scan.h5', 'scan.hdf5'])
def test_an_ending_is_enough(tmp_path: Path, name: str) -> None:
    row = formats.find_format(tmp_path / name)
    assert row is (formats.NPZ if name.lower().endswith('npz') else formats.PTYCHODUS)


def test_first_bytes_are_looked_at_where_the_ending_is_unknown(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=3)
    write(tmp_path / 's.npz', canonical(scan)).rename(tmp_path / 'scan.data')
    assert formats.find_format(tmp_path / 'scan.data') is formats.NPZ
    np.testing.assert_array_equal(load_scan(tmp_path / 'scan.data').counts, scan.counts)
    with h5py.File(tmp_path / 'scan.nxs', 'w') as file:
        file['probe'] = np.zeros((1, 2, 48, 48), np.complex64)
    assert formats.find_format(tmp_path / 'scan.nxs') is formats.PTYCHODUS
    assert formats.read_frame_size(tmp_path / 'scan.nxs') == 48
    (tmp_path / 'notes.txt').write_text('nothing to see')
    assert formats.find_format(tmp_path / 'notes.txt') is None


def test_a_new_format_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, reconstruction = known_reconstruction()

    def read_scan(path: Path, options: ScanOptions) -> ScanData:
        assert options.photons == 3.0
        return scan  # type: ignore[no-any-return]

    def write_reconstruction(
        path: Path, result: Reconstruction, scan: ScanData, comments: str
    ) -> None:
        path.write_text(f'TOY {comments}')

    row = FileFormat(
        endings=('.toy',),
        signature=b'TOY',
        read_scan=read_scan,
        frame_shape=lambda _path, _options: (7, 7),
        read_reconstruction=lambda _: reconstruction,
        write_reconstruction=write_reconstruction,
    )
    monkeypatch.setattr(formats, 'FORMATS', (*formats.FORMATS, row))
    path = tmp_path / 'object.toy'
    save_reconstruction(path, reconstruction, scan, comments='made by hand')
    assert path.read_text() == 'TOY made by hand'
    assert load_result(path) is reconstruction
    assert load_scan(path, photons=3.0) is scan
    assert formats.read_frame_size(path) == 7


def test_scans_of_a_folder_are_found_by_names_and_headers(tmp_path: Path) -> None:
    write(tmp_path / 'b.npz', canonical(make_scan(frame_size=16, side=3)))
    np.savez(tmp_path / 'mask.npz', bad_pixels=np.zeros((16, 16), bool))
    (tmp_path / 'damaged.npz').write_bytes(b'PK')
    for name in ('.hidden.npz', 'notes.txt', 'alone.h5'):
        (tmp_path / name).touch()
    for folder, files in {'a': ('diffraction.h5', 'product.h5'), 'c': ('product.h5',)}.items():
        (tmp_path / folder).mkdir()
        for name in files:
            (tmp_path / folder / name).touch()
    found = formats.scans_in_folder(tmp_path)
    assert [path.name for path in found] == ['a', 'b.npz', 'damaged.npz']
    assert formats.scans_in_folder(tmp_path / 'a') == (tmp_path / 'a',)
    assert formats.scans_in_folder(tmp_path / 'c') == ()
