"""True patches: checked, subset, written as `Y` and read back whatever their form."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.worker.codec import pack_scans, unpack_scans
from tests.helpers import make_scan
from tests.io.npz_files import canonical, write


@pytest.fixture(scope='module')
def scan() -> ScanData:
    plain = make_scan(frame_size=16, side=3, step_px=3.0, photons=1e5)
    random = np.random.RandomState(0)
    patches = random.normal(size=(2, *plain.counts.shape))
    return dataclasses.replace(plain, true_patches=(patches[0] + 1j * patches[1]).astype('c8'))


def changed(scan: ScanData, patches: Any) -> tuple[str, ...]:
    with pytest.raises(ScanDataError) as caught:
        dataclasses.replace(scan, true_patches=patches)
    return caught.value.faults


def test_wrong_dtype_shape_or_values_are_faults(scan: ScanData) -> None:
    patches = scan.true_patches
    assert patches is not None
    assert changed(scan, patches.astype('c16')) == (
        'true_patches must be complex64, got complex128',
    )
    assert changed(scan, patches[:8]) == (
        '9 diffraction patterns need true_patches of shape (9, 16, 16), got (8, 16, 16)',
    )
    wrong = patches.copy()
    wrong[4, 7, 11] = np.nan
    assert changed(scan, wrong)[0].startswith('true_patches[4, 7, 11] is not finite')


def test_a_subset_keeps_its_own(scan: ScanData) -> None:
    assert scan.true_patches is not None
    part = scan.subset(np.array([5, 2]))
    assert part.true_patches is not None
    np.testing.assert_array_equal(part.true_patches, scan.true_patches[[5, 2]])


def test_oriented_positions_leave_them(scan: ScanData) -> None:
    """They lie on the detector's axes, as the frames do."""
    orientation = OrientationConfig(transpose=True, flip_x=True)
    assert orient(scan, orientation).true_patches is scan.true_patches


def test_they_survive_the_file(scan: ScanData, tmp_path: Path) -> None:
    save_npz(tmp_path / 's.npz', scan)
    read = load_npz(tmp_path / 's.npz')
    assert scan.true_patches is not None
    assert read.true_patches is not None
    np.testing.assert_array_equal(read.true_patches, scan.true_patches)
    assert load_scan(tmp_path / 's.npz', true_patches=False).true_patches is None


@pytest.mark.parametrize('form', ['(n, N, N, 1)', '(N, N, n)', 'complex128', 'Fortran order'])
def test_other_forms(
    scan: ScanData, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('ptychopinn_plugin.io.npy_stream.CHUNK_BYTES', 16 * 16 * 20)
    patches = scan.true_patches
    assert patches is not None
    stored = {
        '(n, N, N, 1)': patches[..., np.newaxis],
        '(N, N, n)': np.moveaxis(patches, 0, 2),
        'complex128': patches.astype('c16'),
        'Fortran order': np.asfortranarray(patches),
    }[form]
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), Y=stored))
    assert read.true_patches is not None
    np.testing.assert_array_equal(read.true_patches, patches)


def test_forms_that_are_none(scan: ScanData, tmp_path: Path) -> None:
    assert scan.true_patches is not None
    for patches, said in (
        (np.abs(scan.true_patches), "'Y' is float32; it must hold the complex object"),
        (scan.true_patches[:, :8], "'Y' must have the shape of the frames, (9, 16, 16)"),
    ):
        path = write(tmp_path / 's.npz', canonical(scan), Y=patches)
        with pytest.raises(ScanDataError) as caught:
            load_npz(path)
        assert said in str(caught.value)
        assert load_npz(path, true_patches=False).true_patches is None


def test_as_many_frames_as_pixels(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=4, step_px=3.0)
    patches = np.random.RandomState(1).normal(size=(16, 16, 16)).astype('c8')
    path = write(tmp_path / 's.npz', canonical(scan), Y=patches, measurement_domain='amplitude')
    read = load_npz(path)
    assert read.true_patches is not None
    np.testing.assert_array_equal(read.true_patches, patches)
    transposed = load_npz(path, axis_order='hwn')
    assert transposed.true_patches is not None
    np.testing.assert_array_equal(transposed.true_patches, np.moveaxis(patches, 2, 0))


def test_they_cross_to_the_worker_where_they_are_needed(scan: ScanData) -> None:
    bodies, arrays = pack_scans([scan, scan.subset(np.array([1, 2]))])
    first, second = unpack_scans(bodies, arrays)
    assert first.true_patches is not None
    assert second.true_patches is not None
    np.testing.assert_array_equal(second.true_patches, first.true_patches[1:3])
    bodies, arrays = pack_scans([scan], ['true_patches'])
    assert unpack_scans(bodies, arrays)[0].true_patches is None
