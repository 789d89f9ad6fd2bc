"""Frames without light are left out where they are read; others that stand out are named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import ScanData, continue_from
from ptychopinn_plugin.scan.frame_outliers import (
    frames_unlike_neighbours,
    frames_without_light,
    list_numbers,
)
from tests.helpers import make_known_scan, make_positions, make_scan
from tests.io.npz_files import canonical, write
from tests.io.result_examples import perfect_reconstruction

DARK = [3, 4, 5, 11]


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=16, side=5, step_px=3.0)


def with_dark_frames(scan: ScanData, share: float = 0.0) -> ScanData:
    counts = scan.counts.copy()
    counts[DARK] = np.floor(counts[DARK] * share)
    return dataclasses.replace(scan, counts=counts)


@pytest.mark.parametrize('share', [0.0, 2e-4])
def test_frames_without_light_are_left_out_and_named(
    tmp_path: Path, scan: ScanData, share: float
) -> None:
    patches = np.arange(25)[:, None, None] * np.ones((25, 16, 16), np.complex64)
    dark = with_dark_frames(scan, share)
    read = load_npz(write(tmp_path / 's.npz', canonical(dark), Y=patches))
    kept = np.setdiff1d(np.arange(25), DARK)
    np.testing.assert_array_equal(read.metadata.scan_index, kept)
    np.testing.assert_array_equal(read.counts, scan.counts[kept])
    np.testing.assert_array_equal(read.positions_px, scan.positions_px[kept])
    assert read.true_patches is not None
    np.testing.assert_array_equal(read.true_patches[:, 0, 0].real, kept)
    assert '4 of 25 frames without light were left out: 3 to 5, 11' in read.decisions


def test_numbers_of_the_file_are_kept(tmp_path: Path, scan: ScanData) -> None:
    path = write(
        tmp_path / 's.npz', canonical(with_dark_frames(scan)), scan_index=np.arange(25) * 2 + 100
    )
    read = load_npz(path)
    assert read.metadata.scan_index is not None
    assert 106 not in read.metadata.scan_index
    assert 112 in read.metadata.scan_index
    assert any('left out: 106, 108, 110, 122' in decision for decision in read.decisions)


def test_a_sound_scan_keeps_its_frames(tmp_path: Path, scan: ScanData) -> None:
    read = load_npz(write(tmp_path / 's.npz', canonical(scan)))
    assert read.frame_count == 25
    assert read.metadata.scan_index is None


def test_arrays_that_do_not_belong_together_are_reported_as_they_are(
    tmp_path: Path, scan: ScanData
) -> None:
    path = write(
        tmp_path / 's.npz',
        canonical(with_dark_frames(scan)),
        xcoords=np.arange(24.0),
        ycoords=np.arange(24.0),
        measurement_domain='amplitude',
    )
    with pytest.raises(ValueError, match=r'25 diffraction patterns need positions_px of shape'):
        load_npz(path, axis_order='nhw')


def test_few_photons_are_no_missing_light() -> None:
    totals = np.random.default_rng(1).poisson(3.0, 2000).astype(np.float64)
    assert (totals == 0).any()
    assert not frames_without_light(totals).any()
    assert not frames_unlike_neighbours(totals, make_positions(45, 3.0, 16)[:2000]).size
    # Normalised frames have no photons that chance could miss.
    assert frames_without_light(np.array([0.3, 0.0, 0.4, 0.35])).tolist() == [0, 1, 0, 0]
    # An absorbing sample: a hundredth of the light is light.
    assert not frames_without_light(np.array([1e6, 1e6, 1e6, 1e4])).any()


@pytest.mark.parametrize('factor', [8.0, 0.1])
def test_frames_unlike_their_neighbours(factor: float) -> None:
    positions = np.repeat(make_positions(6, 4.0, 16), 2, axis=0)
    totals = 1e5 + 1e4 * np.sin(np.arange(72) / 5)
    assert not frames_unlike_neighbours(totals, positions).size
    totals[[7, 40]] *= factor
    assert frames_unlike_neighbours(totals, positions).tolist() == [7, 40]


def test_runs_of_numbers() -> None:
    assert list_numbers([3, 7, 8, 9, 40]) == '3, 7 to 9, 40'
    assert list_numbers(range(0, 40, 2)).endswith('14, ...')


def test_a_result_of_all_frames_starts_a_scan_of_those_left() -> None:
    known = make_known_scan(frame_size=16, side=5, step_px=3.0)
    result = perfect_reconstruction(known.scan, known.ground_truth)
    result = dataclasses.replace(result, scan_index=np.arange(25))
    kept = np.setdiff1d(np.arange(25), DARK)
    metadata = dataclasses.replace(known.scan.metadata, scan_index=np.arange(25))
    decisions = ('4 of 25 frames without light were left out: 3 to 5, 11',)
    lit = dataclasses.replace(known.scan, metadata=metadata, decisions=decisions).subset(kept)
    np.testing.assert_allclose(
        continue_from(lit, result).positions_px, known.scan.positions_px[kept]
    )
