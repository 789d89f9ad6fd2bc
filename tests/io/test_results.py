"""Results come back as they were saved, or are not there at all."""

import dataclasses
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from ptychopinn_plugin.errors import OutputError, ResultFileError
from ptychopinn_plugin.io.npz_reconstruction import (
    _ESTIMATES,
    _FIELDS,
    _HISTORY,
    save_npz_reconstruction,
)
from ptychopinn_plugin.io.result_files import load_comments, load_result, save_reconstruction
from ptychopinn_plugin.scan import Estimates, PassHistory
from ptychopinn_plugin.scan.reconstruction import AMPLITUDE_RESIDUAL, Reconstruction
from tests.io.result_examples import known_quality, known_reconstruction
from tests.scan.test_estimates import estimates_of


def test_a_result_comes_back_unchanged(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction(modes=2, origin=(-3, 4))
    path = tmp_path / 'object.npz'
    save_reconstruction(path, reconstruction, scan)
    result = load_result(path)
    for field in dataclasses.fields(reconstruction):
        if field.name == 'estimates':
            continue
        saved, loaded = (getattr(r, field.name) for r in (reconstruction, result))
        if isinstance(saved, np.ndarray):
            np.testing.assert_array_equal(loaded, saved, strict=True)
        else:
            assert loaded == saved, field.name
    np.testing.assert_array_equal(result.positions_px, scan.positions_px)
    assert result.pixel_size_m is None
    assert list(tmp_path.iterdir()) == [path]


def test_resolution_and_errors_come_back(tmp_path: Path) -> None:
    _, reconstruction = known_reconstruction()
    quality = known_quality(reconstruction.object_canvas.shape)
    path = tmp_path / 'object.npz'
    save_npz_reconstruction(path, dataclasses.replace(reconstruction, quality=quality))
    found = load_result(path).quality
    assert found is not None
    for name, array in quality.arrays().items():
        np.testing.assert_array_equal(found.arrays()[name], array, strict=True)


def test_what_a_network_changed_comes_back_and_must_fit(tmp_path: Path) -> None:
    _, reconstruction = known_reconstruction()
    change = (0.1j * reconstruction.object_canvas).astype(np.complex64)
    path = tmp_path / 'object.npz'
    save_npz_reconstruction(path, dataclasses.replace(reconstruction, network_change=change))
    np.testing.assert_array_equal(load_result(path).network_change, change, strict=True)
    save_npz_reconstruction(path, dataclasses.replace(reconstruction, network_change=change[1:]))
    with pytest.raises(ResultFileError, match=r"'network_change' .* differ"):
        load_result(path)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('half_bit', np.zeros(3), "'half_bit' must have the shape"),
        ('phase_error', np.zeros((2, 2), np.float32), "'phase_error'"),
        ('held_out', None, "it has no 'held_out'"),
    ],
)
def test_half_a_quality_is_refused(
    tmp_path: Path, name: str, value: np.ndarray | None, message: str
) -> None:
    _, reconstruction = known_reconstruction()
    quality = known_quality(reconstruction.object_canvas.shape)
    path = tmp_path / 'object.npz'
    save_npz_reconstruction(path, dataclasses.replace(reconstruction, quality=quality))
    with np.load(path) as file:
        arrays = {key: file[key] for key in file if key != name}
    if value is not None:
        arrays[name] = value
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(ResultFileError, match=message):
        load_result(path)


@pytest.mark.parametrize('refined', [False, True])
def test_a_file_says_whether_the_probe_was_refined(tmp_path: Path, refined: bool) -> None:
    _, reconstruction = known_reconstruction()
    one = dataclasses.replace(reconstruction, probe_refined=refined)
    save_npz_reconstruction(tmp_path / 'object.npz', one)
    assert load_result(tmp_path / 'object.npz').probe_refined is refined


def test_the_pixel_size_is_kept_where_it_is_known(tmp_path: Path) -> None:
    _, reconstruction = known_reconstruction()
    known = dataclasses.replace(reconstruction, pixel_size_m=(2e-8, 1e-8))
    save_npz_reconstruction(tmp_path / 'object.npz', known)
    assert load_result(tmp_path / 'object.npz').pixel_size_m == (2e-8, 1e-8)


def test_the_file_says_what_lies_where(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction(origin=(-3, 4))
    save_npz_reconstruction(tmp_path / 'object.npz', reconstruction)
    with np.load(tmp_path / 'object.npz', allow_pickle=False) as file:
        assert file['object'].dtype == np.complex64
        np.testing.assert_array_equal(file['ycoords'], scan.positions_px[:, 0])
        np.testing.assert_array_equal(file['xcoords'], scan.positions_px[:, 1])
        np.testing.assert_array_equal(file['origin_px'], [-3, 4])
        assert str(file['backend']) == 'pytorch'
        assert file['seconds'] == 1.5


@pytest.mark.parametrize('name', ['object.tiff', 'object', 'no/object.npz'])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    scan, reconstruction = known_reconstruction()
    with pytest.raises(OutputError, match=r'\.h5 or \.npz|no folder'):
        save_reconstruction(tmp_path / name, reconstruction, scan)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, reconstruction = known_reconstruction()
    path = tmp_path / 'object.npz'
    save_npz_reconstruction(path, reconstruction)
    before = path.read_bytes()

    def full_disk(file: IO[bytes], **_members: object) -> None:
        file.write(before[:100])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'savez', full_disk)
    with pytest.raises(OutputError, match='No space left'):
        save_npz_reconstruction(path, reconstruction)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_no_results_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'object.npz'
    with pytest.raises(ResultFileError, match='no result file'):
        load_result(path)
    with pytest.raises(ResultFileError, match=r'\.h5 or \.npz'):
        load_result(tmp_path / 'object.txt')
    path.write_bytes(b'not a zip file')
    with pytest.raises(ResultFileError, match='cannot be read'):
        load_result(path)
    np.savez(path, diffraction=np.zeros((2, 4, 4)))
    with pytest.raises(ResultFileError, match=r"no 'object'"):
        load_result(path)


@pytest.mark.parametrize(
    ('member', 'value', 'words'),
    [
        ('object', np.zeros((4, 4)), "'object' is float64"),
        ('object', np.zeros((4, 5), complex), 'differ'),
        ('xcoords', np.zeros(3), 'differ in length'),
        ('backend', 'jax', "'jax'"),
        ('stages', np.array([{}], dtype=object), 'cannot be read'),
    ],
)
def test_a_spoilt_member_is_named(
    tmp_path: Path, member: str, value: np.ndarray, words: str
) -> None:
    _, reconstruction = known_reconstruction()
    path = tmp_path / 'object.npz'
    save_npz_reconstruction(path, reconstruction)
    with np.load(path, allow_pickle=False) as file:
        members = dict(file)
    np.savez(path, allow_pickle=True, **{**members, member: value})
    with pytest.raises(ResultFileError, match=words):
        load_result(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    _, reconstruction = known_reconstruction()
    path = tmp_path / 'object.npz'
    save_npz_reconstruction(path, reconstruction)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ResultFileError, match='cannot be read'):
        load_result(path)


def test_positions_are_those_of_the_reconstruction(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction()
    refined = dataclasses.replace(reconstruction, positions_px=scan.positions_px + 0.25)
    save_reconstruction(tmp_path / 'object.npz', refined, scan)
    np.testing.assert_array_equal(
        load_result(tmp_path / 'object.npz').positions_px, scan.positions_px + 0.25
    )


def test_the_name_of_the_residual_is_kept(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction()
    renamed = dataclasses.replace(reconstruction, residual_name='$-\\log L$')
    save_reconstruction(tmp_path / 'object.npz', renamed, scan)
    assert load_result(tmp_path / 'object.npz').residual_name == '$-\\log L$'


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction()
    save_reconstruction(tmp_path / 'object.npz', reconstruction, scan)
    with np.load(tmp_path / 'object.npz') as file:
        arrays = {name: file[name] for name in file if name != 'residual_name'}
    np.savez(tmp_path / 'earlier.npz', allow_pickle=False, **arrays)
    assert load_result(tmp_path / 'earlier.npz').residual_name == AMPLITUDE_RESIDUAL


def test_every_field_is_stored() -> None:
    fields = {field.name for field in dataclasses.fields(Reconstruction)}
    assert fields == {*_FIELDS, 'positions_px', 'estimates', 'quality', 'history'}
    assert {field.name for field in dataclasses.fields(PassHistory)} == set(_HISTORY)
    assert {field.name for field in dataclasses.fields(Estimates)} == set(_ESTIMATES)


def test_estimates_come_back_and_must_fit(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction()
    known = estimates_of(scan)
    path = tmp_path / 'object.npz'
    save_reconstruction(path, dataclasses.replace(reconstruction, estimates=known), scan)
    found = load_result(path).estimates.arrays()
    assert set(found) == set(known.arrays())
    for name, array in known.arrays().items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    with np.load(path) as file:
        members = dict(file)
    np.savez(path, allow_pickle=False, **{**members, 'flux': np.ones(3)})
    with pytest.raises(ResultFileError, match=r'flux must be float64 \(25,\)'):
        load_result(path)


def test_comments_are_those_of_a_product_and_no_other_file_has_any(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction()
    for name in ('object.h5', 'object.npz'):
        save_reconstruction(tmp_path / name, reconstruction, scan, comments='made by hand')
    assert 'made by hand' in load_comments(tmp_path / 'object.h5')
    assert load_comments(tmp_path / 'object.npz') == ''
    with pytest.raises(ResultFileError, match='there is no result file'):
        load_comments(tmp_path / 'other.h5')
