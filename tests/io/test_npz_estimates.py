"""Variation of the probe, flux and background in an .npz scan."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan_writer import save_npz, scan_arrays
from ptychopinn_plugin.io.scan_files import load_scan
from tests.helpers import make_scan
from tests.scan.test_estimates import estimates_of


def test_a_scan_comes_back_with_its_estimates(tmp_path: Path) -> None:
    scan = make_scan(side=4)
    known = estimates_of(scan)
    save_npz(tmp_path / 'scan.npz', dataclasses.replace(scan, estimates=known))
    found = load_scan(tmp_path / 'scan.npz').estimates.arrays()
    wanted = known.arrays()
    wanted.pop('nominal_positions_px')
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-6)


def test_a_background_is_scaled_and_centred_as_the_frames_are(tmp_path: Path) -> None:
    scan = make_scan(side=4)
    arrays = scan_arrays(dataclasses.replace(scan, estimates=estimates_of(scan)))
    corner = {
        'diffraction': np.fft.ifftshift(arrays['diffraction'], axes=(1, 2)) / 7,
        'background': np.fft.ifftshift(arrays['background']) / 49,
    }
    np.savez(tmp_path / 'scan.npz', allow_pickle=False, **{**arrays, **corner})
    found = load_scan(tmp_path / 'scan.npz', dc='corner').estimates.background
    assert found is not None
    np.testing.assert_allclose(found, arrays['background'], rtol=1e-4)


def test_a_probe_in_another_unit_takes_its_variation_along(tmp_path: Path) -> None:
    scan = make_scan(side=4)
    arrays = scan_arrays(dataclasses.replace(scan, estimates=estimates_of(scan)))
    for name in ('probeGuess', 'opr_modes'):
        arrays[name] = 1000 * arrays[name]
    np.savez(tmp_path / 'scan.npz', allow_pickle=False, **arrays)
    read = load_scan(tmp_path / 'scan.npz')
    assert read.estimates.opr_modes is not None
    ratio = np.linalg.norm(read.estimates.opr_modes) / np.linalg.norm(read.probe)
    wanted = np.linalg.norm(arrays['opr_modes']) / np.linalg.norm(arrays['probeGuess'])
    assert ratio == pytest.approx(wanted, rel=1e-4)


def test_frames_without_light_take_their_estimates_along(tmp_path: Path) -> None:
    scan = make_scan(side=4)
    known = estimates_of(scan)
    arrays = scan_arrays(dataclasses.replace(scan, estimates=known))
    arrays['diffraction'][3] = 0
    np.savez(tmp_path / 'scan.npz', allow_pickle=False, **arrays)
    found = load_scan(tmp_path / 'scan.npz').estimates.arrays()
    for name in ('flux', 'opr_weights'):
        np.testing.assert_array_equal(found[name], np.delete(known.arrays()[name], 3, axis=0))


@pytest.mark.parametrize('ending', ['npy', 'npz'])
def test_a_background_of_a_file_of_its_own(tmp_path: Path, ending: str) -> None:
    scan = make_scan(side=4)
    save_npz(tmp_path / 'scan.npz', scan)
    image = np.full((32, 32), 2.5)
    path = tmp_path / f'dark.{ending}'
    if ending == 'npy':
        np.save(path, image)
    else:
        np.savez(path, background=image)
    read = load_scan(tmp_path / 'scan.npz', background=path)
    np.testing.assert_array_equal(read.estimates.background, image.astype(np.float32))
    assert f'the background was taken from {path}' in read.decisions


@pytest.mark.parametrize(
    ('members', 'words'),
    [
        ({'background': np.zeros((4, 4, 4))}, "'background' must hold 2 axes of float32, got"),
        ({'background': np.zeros((4, 4))}, r'background must be float32 \(32, 32\), got'),
        ({'background': np.full((32, 32), -1.0)}, 'background must hold counts'),
        ({'flux': np.ones(3)}, r'flux must be float64 \(16,\)'),
    ],
)
def test_faulty_members_are_named(
    tmp_path: Path, members: dict[str, np.ndarray], words: str
) -> None:
    np.savez(tmp_path / 'scan.npz', allow_pickle=False, **scan_arrays(make_scan(side=4)) | members)
    with pytest.raises(ScanDataError, match=words):
        load_scan(tmp_path / 'scan.npz')


def test_a_file_without_a_background_is_refused(tmp_path: Path) -> None:
    save_npz(tmp_path / 'scan.npz', make_scan(side=4))
    with pytest.raises(ScanDataError, match='holds no background'):
        load_scan(tmp_path / 'scan.npz', background=tmp_path / 'scan.npz')
    (tmp_path / 'dark.npy').write_text('no array')
    with pytest.raises(ScanDataError, match='cannot be read'):
        load_scan(tmp_path / 'scan.npz', background=tmp_path / 'dark.npy')
