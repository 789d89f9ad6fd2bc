"""The true patch under each frame: given, or cut from a known object."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.networks.cnn.ground_truth import check_ground_truth, ground_truth_patches
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_known_scan


@pytest.fixture(scope='module')
def scan() -> ScanData:
    """Return a scan whose object guess is the truth."""
    known = make_known_scan(frame_size=32, side=4, photons=1e6, noise=False)
    return dataclasses.replace(known.scan, object_guess=known.ground_truth)


def test_cut_patches_explain_the_frames(scan: ScanData) -> None:
    """With the probe shifted by what is left of the position, without the package's physics."""
    check_ground_truth(scan)
    patches = ground_truth_patches(scan, np.arange(scan.frame_count))
    assert patches.dtype == np.complex64
    f = np.fft.fftfreq(scan.frame_size)
    for patch, frame, (y, x) in zip(patches, scan.counts, scan.positions_px, strict=True):
        ramp = np.exp(-2j * np.pi * (f[:, None] * (y - np.round(y)) + f * (x - np.round(x))))
        probe = np.fft.ifft2(np.fft.fft2(scan.probe[0]) * ramp)
        wave = np.fft.fftshift(np.fft.fft2(probe * patch, norm='ortho'))
        assert np.abs(np.abs(wave) ** 2 - frame).max() < 1e-3 * frame.max()


def test_frames_may_come_in_groups(scan: ScanData) -> None:
    groups = np.array([[3, 1], [0, 7], [15, 15]])
    cut = ground_truth_patches(scan, groups)
    assert cut.shape == (3, 2, 32, 32)
    np.testing.assert_array_equal(cut[1, 1], ground_truth_patches(scan, np.array([7]))[0])


def test_given_patches_come_first(scan: ScanData) -> None:
    given = np.full(scan.counts.shape, 2j, np.complex64)
    both = dataclasses.replace(scan, true_patches=given)
    check_ground_truth(both)
    assert (ground_truth_patches(both, np.array([2, 3])) == 2j).all()


@pytest.mark.parametrize(
    ('guess', 'found'),
    [
        (None, 'the scan has neither'),
        (np.ones((60, 60), np.complex64), 'objectGuess is flat'),
        (np.full((60, 60), 0.3 + 0.2j, np.complex64), 'objectGuess is flat'),
        (np.zeros((60, 60), np.complex64), 'objectGuess is flat'),
        (np.pad(np.ones((54, 50), np.complex64), ((4, 2), (0, 10))), 'objectGuess is flat'),
    ],
)
def test_without_a_known_object(
    scan: ScanData, guess: np.ndarray[tuple[int, int], np.dtype[np.complex64]] | None, found: str
) -> None:
    blind = dataclasses.replace(scan, object_guess=guess)
    with pytest.raises(ScanDataError, match=rf'supervised training needs Y .*{found}.*pinn'):
        check_ground_truth(blind)
    with pytest.raises(ScanDataError, match='realspace_mae_weight needs'):
        check_ground_truth(blind, 'realspace_mae_weight')


def test_an_object_of_ones_and_zeros_is_not_flat(scan: ScanData) -> None:
    """An opaque sample with a hole, or an opaque grain in the open, is something to learn."""
    grain = np.ones((60, 60), np.complex64)
    grain[20:30, 25:31] = 0
    hole = np.zeros((60, 60), np.complex64)
    hole[10:20, 10:40] = hole[15:40, 30:40] = 1
    for guess in (grain, hole):
        check_ground_truth(dataclasses.replace(scan, object_guess=guess))


def test_an_object_that_ends_too_soon(scan: ScanData) -> None:
    assert scan.object_guess is not None
    short = dataclasses.replace(scan, object_guess=scan.object_guess[:45])
    with pytest.raises(ScanDataError, match=r'does not reach under \d+ of 16 frames \(frame '):
        check_ground_truth(short)
