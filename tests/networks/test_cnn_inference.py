"""Data flow of an inference: batches, predictions, stitching."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.io.model_file import Manifest, TrainedModel
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch, GroupedScan
from ptychopinn_plugin.networks.cnn.ground_truth import ground_truth_patches
from ptychopinn_plugin.networks.cnn.patch_inference import (
    Prediction,
    describe_unlearned,
    inference_batches,
    predict_patches,
    stitch_patches,
)
from ptychopinn_plugin.networks.cnn.split import BatchSequence, inference_groups
from ptychopinn_plugin.physics.overlap_add import cut_patches
from ptychopinn_plugin.scan.canvas import patch_placement
from tests.helpers import KnownScan, make_known_scan

SIZE = 16
MODEL = ModelConfig(architecture='cnn', gridsize=2, probe_big=True)


@pytest.fixture(scope='module')
def known() -> KnownScan:
    return make_known_scan(frame_size=SIZE, side=6)


class PerfectPredictor:
    """Returns the true patches of a batch, each with a phase of its own."""

    def __init__(self, known: KnownScan) -> None:
        self.ground_truth = known.ground_truth
        self.random = np.random.default_rng(0)
        self.sizes: list[int] = []

    def predict(self, batch: GroupBatch) -> Prediction:
        self.sizes.append(len(batch.inputs))
        corners, _ = patch_placement(batch.positions_px, SIZE)
        phases = np.exp(1j * self.random.normal(0, 0.3, (len(corners), 1, 1)))
        patches = (cut_patches(self.ground_truth, corners, SIZE) * phases).astype(np.complex64)
        return Prediction(patches, 0.25 * float(np.vdot(batch.amplitudes, batch.amplitudes)))


class Messages(Monitor):
    """Keeps all progress; asks for a stop after some."""

    def __init__(self, stop_after: int = 1000) -> None:
        self.all: list[Progress] = []
        self.stop_after = stop_after

    def on_progress(self, progress: Progress) -> None:
        self.all.append(progress)

    def should_stop(self) -> bool:
        return len(self.all) >= self.stop_after


def batches_for(known: KnownScan, batch_size: int, grouping: str = 'nearest') -> BatchSequence:
    inference = InferenceConfig.model_validate({'grouping': grouping})
    groups = inference_groups(known.scan.positions_px, MODEL, inference)
    grouped = GroupedScan.from_scan(known.scan, MODEL, [groups])
    return inference_batches(grouped, groups, batch_size)


@pytest.mark.parametrize(
    ('batch_size', 'grouping', 'groups_per_frame'),
    [(0, 'nearest', 1), (5, 'nearest', 1), (0, 'disjoint', 1 / 4), (5, 'disjoint', 1 / 4)],
)
def test_true_patches_give_the_true_object(
    known: KnownScan, batch_size: int, grouping: str, groups_per_frame: float
) -> None:
    predictor, monitor = PerfectPredictor(known), Messages()
    patches = predict_patches(predictor, batches_for(known, batch_size, grouping), monitor)
    assert sum(predictor.sizes) == groups_per_frame * known.scan.frame_count
    assert len(patches.positions_px) == 4 * sum(predictor.sizes)
    found = stitch_patches(known.scan, known.scan.probe, patches)
    lit = np.isfinite(found)
    assert lit.mean() > 0.5
    found, wanted = found[lit], known.ground_truth[lit]
    product = np.vdot(found, wanted)
    error = np.linalg.norm(found * product / abs(product) - wanted) / np.linalg.norm(wanted)
    assert error < 0.05
    assert [one.step for one in monitor.all] == list(range(1, len(predictor.sizes) + 1))
    assert monitor.all[-1].loss == pytest.approx(0.25)


def test_a_stop_ends_the_inference_after_a_batch(known: KnownScan) -> None:
    predictor, monitor = PerfectPredictor(known), Messages(stop_after=2)
    with pytest.raises(Cancelled):
        predict_patches(predictor, batches_for(known, 5), monitor)
    assert len(predictor.sizes) == 2


def test_a_batch_holds_all_that_a_network_needs(known: KnownScan) -> None:
    batch = batches_for(known, 5)[0]
    np.testing.assert_array_equal(batch.probe, known.scan.probe)
    np.testing.assert_array_equal(np.fft.fftshift(batch.good), ~known.scan.mask)
    scan = dataclasses.replace(known.scan, object_guess=known.ground_truth)
    frames = np.arange(3)
    corners, _ = patch_placement(scan.positions_px[frames], SIZE)
    np.testing.assert_array_equal(
        ground_truth_patches(scan, frames), cut_patches(known.ground_truth, corners, SIZE)
    )


def test_patches_that_do_not_differ_are_remarked_on(known: KnownScan) -> None:
    batches = batches_for(known, 5)
    good = predict_patches(PerfectPredictor(known), batches, Messages())
    model = TrainedModel(
        {},
        known.scan.probe,
        np.ones((1, 2)),
        Manifest(
            package_version='1',
            backend='pytorch',
            model=MODEL,
            training=TrainingConfig(),
            frame_size=SIZE,
        ),
    )
    assert describe_unlearned(model, known.scan, good, batches) == ''
    flat = dataclasses.replace(good, parts=[np.ones_like(part) for part in good.parts])
    found = describe_unlearned(model, known.scan, flat, batches)
    assert 'has not learned to distinguish frames' in found
    assert 'after 1 epoch:' in found
