"""The frame size comes from headers: values may be huge or damaged and are never looked at."""

import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn_plugin import ScanDataError, create_training_config
from ptychopinn_plugin.io.npz_archive import NpzArchive


@pytest.mark.parametrize(
    'shape', [(48, 48), (3, 48, 48), (48, 48, 1), (48, 48, 3), (1, 3, 48, 48), (48, 48, 48)]
)
def test_every_form_of_a_probe_has_its_side(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.savez(tmp_path / 's.npz', probeGuess=np.zeros(shape, np.complex128))
    assert create_training_config(tmp_path / 's.npz').model.frame_size == 48


@pytest.mark.parametrize('shape', [(48,), (48, 47), (48, 47, 46)])
def test_a_probe_that_is_not_square_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.savez(tmp_path / 's.npz', probeGuess=np.zeros(shape, np.complex64))
    with pytest.raises(ScanDataError, match='must be square'):
        create_training_config(tmp_path / 's.npz')


@pytest.mark.parametrize('compressed', [False, True])
def test_values_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    path = tmp_path / 's.npz'
    rng = np.random.default_rng(0)
    save = np.savez_compressed if compressed else np.savez
    save(
        path,
        diffraction=rng.random((40, 256, 256)),
        probeGuess=rng.random((4, 256, 256)) * (1 + 1j),
    )
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            middle = info.header_offset + info.compress_size // 2
            content[middle : middle + 4096] = b'\xa5' * 4096
    path.write_bytes(content)
    monkeypatch.delattr(NpzArchive, 'read')
    monkeypatch.delattr(NpzArchive, 'blocks')
    tracemalloc.start()
    size = create_training_config(path).model.frame_size
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 256
    assert most < 300_000  # the probe alone has 4 MB


def test_without_a_probe_the_frames_give_it(tmp_path: Path) -> None:
    # The probe may come from a file of its own.
    np.savez(tmp_path / 's.npz', diff3d=np.zeros((48, 48, 9)))
    assert create_training_config(tmp_path / 's.npz').model.frame_size == 48
    np.savez(tmp_path / 's.npz', xcoords=np.zeros(9))
    with pytest.raises(ScanDataError, match="'probeGuess' is missing"):
        create_training_config(tmp_path / 's.npz')


def test_files_of_ptychodus_give_it_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / 'product.h5', 'w') as file:
        file['probe'] = np.zeros((1, 2, 48, 48), np.complex64)
    for path in (tmp_path, tmp_path / 'product.h5', tmp_path / 'diffraction.h5'):
        assert create_training_config(path).model.frame_size == 48
    (tmp_path / 'product.h5').unlink()
    with h5py.File(tmp_path / 'diffraction.h5', 'w') as file:
        file['patterns'] = np.zeros((9, 48, 48), np.uint16)
    assert create_training_config(tmp_path).model.frame_size == 48


def test_what_is_no_scan_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ScanDataError, match='there is no file'):
        create_training_config(tmp_path / 'none.npz')
    with pytest.raises(ScanDataError, match='there is no probe in'):
        create_training_config(tmp_path)
    (tmp_path / 'b.h5').write_text('text')
    with pytest.raises(ScanDataError, match=r'b\.h5 cannot be read'):
        create_training_config(tmp_path / 'b.h5')
