"""Frames in photons and a probe that carries them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.photon_scale import visible_share
from tests.helpers import expected_counts, make_known_scan, make_scan
from tests.io.npz_files import canonical, write


@pytest.fixture(scope='module')
def exact() -> ScanData:
    """Expected counts without noise, so their roots are no roots of whole numbers."""
    return make_scan(frame_size=16, side=3, step_px=3.0, photons=1e6, noise=False)


def power(scan: ScanData) -> float:
    return float(np.sum(np.abs(scan.probe) ** 2))


def mean_photons(scan: ScanData) -> float:
    return float(scan.counts.sum(axis=(1, 2)).mean())


@pytest.mark.parametrize('shrink', [1e-3, 1e-1, 30.0])
def test_normalised_amplitudes_take_the_photons_of_the_file(
    tmp_path: Path, exact: ScanData, shrink: float
) -> None:
    path = write(
        tmp_path / 's.npz',
        canonical(exact),
        diffraction=np.sqrt(exact.counts) * shrink,
        probeGuess=exact.probe * shrink,
        nphotons=mean_photons(exact),
    )
    read = load_npz(path)
    np.testing.assert_allclose(read.counts, exact.counts, rtol=1e-4)
    # The probe fitted the normalised frames and goes with them.
    np.testing.assert_allclose(read.probe, exact.probe, rtol=1e-4)
    assert any("from the file's nphotons" in d for d in read.decisions)


def test_a_probe_in_photons_stays_where_only_the_frames_were_normalised(
    tmp_path: Path, exact: ScanData
) -> None:
    path = write(
        tmp_path / 's.npz',
        canonical(exact),
        diffraction=np.sqrt(exact.counts) * 1e-3,
        nphotons=mean_photons(exact),
    )
    np.testing.assert_array_equal(load_npz(path).probe, exact.probe)


def test_photons_in_the_json_of_older_files(tmp_path: Path, exact: ScanData) -> None:
    tree = {'physics_parameters': {'nphotons': mean_photons(exact)}}
    path = write(
        tmp_path / 's.npz',
        canonical(exact),
        diffraction=np.sqrt(exact.counts) * 1e-3,
        _metadata=json.dumps(tree),
    )
    np.testing.assert_allclose(load_npz(path).counts, exact.counts, rtol=1e-4)


def test_wrong_photons_do_not_spoil_photon_counts(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=3)
    for name, values in (('a', np.sqrt(scan.counts)), ('c', scan.counts.astype(np.uint16))):
        path = write(tmp_path / f'{name}.npz', canonical(scan), diffraction=values, nphotons=1e9)
        read = load_npz(path)
        np.testing.assert_array_equal(read.counts, scan.counts)
        assert any('was left aside' in d for d in read.decisions)


def test_photons_that_nearly_agree_change_nothing(tmp_path: Path, exact: ScanData) -> None:
    path = write(tmp_path / 's.npz', canonical(exact), nphotons=3 * mean_photons(exact))
    np.testing.assert_allclose(load_npz(path).counts, exact.counts, rtol=1e-5)


def test_the_users_photons_always_hold(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=3)
    read = load_npz(write(tmp_path / 's.npz', canonical(scan)), photons=5e6)
    assert mean_photons(read) == pytest.approx(5e6, rel=1e-5)
    assert power(read) / mean_photons(read) == pytest.approx(
        power(scan) / mean_photons(scan), rel=1e-3
    )


@pytest.mark.parametrize('unit', [1e-4, 5.0, 1e3])
def test_an_unscaled_probe_gets_the_photons_of_the_frames(tmp_path: Path, unit: float) -> None:
    scan = make_scan(frame_size=16, side=3)
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), probeGuess=scan.probe * unit))
    # Empty object at amplitude 1 to within the sample's own absorption.
    assert 0.5 < power(read) / power(scan) < 1.1
    np.testing.assert_allclose(
        read.probe / np.abs(read.probe).max(), scan.probe / np.abs(scan.probe).max(), atol=1e-6
    )
    assert any('so that empty object is 1' in d for d in read.decisions)


def test_a_probe_of_about_the_right_scale_is_not_touched(tmp_path: Path) -> None:
    scan = make_scan(frame_size=16, side=3)
    read = load_npz(write(tmp_path / 's.npz', canonical(scan), probeGuess=scan.probe * 1.2))
    np.testing.assert_array_equal(read.probe, scan.probe * np.float32(1.2))


def test_the_scale_of_counts_and_probe_leaves_the_object(tmp_path: Path) -> None:
    """Four times the counts and twice the probe leave the object where it is."""
    known = make_known_scan(frame_size=16, side=3, noise=False)
    brighter = write(
        tmp_path / 's.npz',
        canonical(known.scan),
        diffraction=np.sqrt(known.scan.counts) * 2,
        probeGuess=known.scan.probe * 2,
    )
    read = load_npz(brighter)
    np.testing.assert_allclose(
        read.counts,
        expected_counts(known.ground_truth, read.probe, read.positions_px),
        rtol=1e-3,
        atol=1e-3 * float(read.counts.max()) ** 0.5,
    )


def test_photons_behind_a_beamstop(tmp_path: Path) -> None:
    scan = make_scan(frame_size=32, side=3)
    row, column = np.indices((32, 32)) - 16
    for radius in (4, 5, 8):
        stop = np.hypot(row, column) < radius
        path = write(tmp_path / 's.npz', canonical(scan), bad_pixels=stop)
        np.testing.assert_array_equal(load_npz(path).probe, scan.probe)


def test_a_probe_in_another_unit_behind_a_beamstop(tmp_path: Path) -> None:
    scan = make_scan(frame_size=32, side=3)
    row, column = np.indices((32, 32)) - 16
    stop = np.hypot(row, column) < 4
    share = visible_share(scan.probe, stop)
    assert share < 0.6
    for unit in (1e-3, 30.0):
        path = write(
            tmp_path / 's.npz', canonical(scan), bad_pixels=stop, probeGuess=scan.probe * unit
        )
        assert 0.5 < power(load_npz(path)) / power(scan) < 1.6
    hidden = np.hypot(row, column) < 12
    path = write(
        tmp_path / 's.npz', canonical(scan), bad_pixels=hidden, probeGuess=scan.probe * 1e-3
    )
    assert any('do not determine its photons' in decision for decision in load_npz(path).decisions)
