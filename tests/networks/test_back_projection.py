"""Laws of the object after one step, the input of a network that corrects it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.networks.cnn.back_projection import ObjectImage, back_projected_object
from ptychopinn_plugin.networks.cnn.dataset import GroupedScan
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.scan import ScanData
from tests.helpers import KnownScan, make_known_scan

SIZE = 16
CORRECTION = ModelConfig(architecture='cnn', network_input='back_projection')


@pytest.fixture(scope='module')
def known() -> KnownScan:
    return make_known_scan(frame_size=SIZE, side=6, modes=2, photons=1e7, bad_pixels=5)


def step(scan: ScanData) -> ObjectImage:
    return back_projected_object(scan, scan.probe)


def test_frames_of_an_empty_sample_ask_for_no_change(known: KnownScan) -> None:
    spectrum = np.fft.fft2(known.scan.probe, norm='ortho')
    counts = np.fft.fftshift(np.sum(np.abs(spectrum) ** 2, axis=0))
    whole = np.rint(known.scan.positions_px)
    frames = np.broadcast_to(counts, known.scan.counts.shape).astype(np.float32)
    found = step(dataclasses.replace(known.scan, counts=frames, positions_px=whole))
    assert np.abs(found.values - 1).max() < 1e-3


def test_one_step_is_nearer_to_the_object_than_an_empty_one(known: KnownScan) -> None:
    found = step(known.scan)
    top, left = found.origin_px
    height, width = found.values.shape
    truth = known.ground_truth[top : top + height, left : left + width]
    # Where many frames overlap.
    inner = np.s_[SIZE // 2 : -SIZE // 2, SIZE // 2 : -SIZE // 2]

    def error(values: np.ndarray) -> float:
        turned = values[inner] * np.exp(-1j * np.angle(np.vdot(truth[inner], values[inner])))
        return float(np.linalg.norm(turned - truth[inner]))

    assert error(found.values) < 0.8 * error(np.ones_like(truth))


def test_bad_pixels_have_no_effect(known: KnownScan) -> None:
    counts = known.scan.counts.copy()
    counts[:, known.scan.mask] = 1e9
    found = step(dataclasses.replace(known.scan, counts=counts))
    np.testing.assert_array_equal(found.values, step(known.scan).values)


def test_photons_of_probe_and_frames_leave_the_object_as_it_is(known: KnownScan) -> None:
    scan = known.scan
    bright = dataclasses.replace(scan, counts=4 * scan.counts, probe=2 * scan.probe)
    np.testing.assert_allclose(step(bright).values, step(scan).values, atol=1e-4)


def test_positions_carry_the_object_along(known: KnownScan) -> None:
    moved = dataclasses.replace(
        known.scan, positions_px=known.scan.positions_px + np.array([3.0, -200.0])
    )
    wanted, found = step(known.scan), step(moved)
    assert found.origin_px == (wanted.origin_px[0] + 3, wanted.origin_px[1] - 200)
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-5)


def test_inputs_are_the_object_under_each_frame(known: KnownScan) -> None:
    groups = np.array([[3], [17]])
    batch = GroupedScan.from_scan(known.scan, CORRECTION, [groups]).batch(groups)
    image = step(known.scan)
    assert batch.inputs.shape == (2, 2, SIZE, SIZE)
    assert batch.inputs.dtype == np.float32
    for place, frame in enumerate((3, 17)):
        row, column = np.rint(known.scan.positions_px[frame]).astype(int) - SIZE // 2
        top, left = row - image.origin_px[0], column - image.origin_px[1]
        patch = image.values[top : top + SIZE, left : left + SIZE] - 1
        np.testing.assert_allclose(batch.inputs[place], [patch.real, patch.imag], atol=1e-6)


def test_a_target_takes_the_place_of_the_frames(known: KnownScan) -> None:
    target = ObjectImage(known.ground_truth, (0, 0))
    training = TrainingConfig(batch_size=4, training_target='reconstruction')
    split = DatasetSplit.from_scans(
        [known.scan], CORRECTION, training, with_ground_truth=False, targets=[target]
    )
    # Groups of one frame each, whatever `gridsize` says.
    assert split.training[0].shape[1] == 1
    batch = split.training_batches(0)[0]
    assert batch.corners is None
    assert batch.ground_truth is not None
    row, column = np.rint(batch.positions_px[2]).astype(int) - SIZE // 2
    wanted = known.ground_truth[row : row + SIZE, column : column + SIZE]
    np.testing.assert_array_equal(batch.ground_truth[2], wanted)
    # Merged with their neighbours, patches would come from one part of the scan only.
    spread = np.ptp(batch.positions_px, axis=0)
    assert (spread > 0).all()
