"""The published network in TensorFlow alone: few traces, Keras' numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.architecture import initial_weights
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import cnn_schedule
from ptychopinn_plugin.networks.model_manifest import build_manifest
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan

if TYPE_CHECKING:
    from ptychopinn_plugin.backends.tensorflow import TensorFlowEngine
    from ptychopinn_plugin.backends.tensorflow.cnn_training import PatchTraining

pytestmark = pytest.mark.tensorflow

CNN = ModelConfig(architecture='cnn', gridsize=1)
# 21 frames in batches of 6, 5, 5 and 5.
SHORT = TrainingConfig(epochs=2, batch_size=6)


def execution(**options: Any) -> ExecutionConfig:
    return ExecutionConfig(backend='tensorflow', accelerator='cpu', logger='none', **options)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(side=5, frame_size=64, bad_pixels=10)


@pytest.fixture(scope='module')
def engine() -> TensorFlowEngine:
    return cast('TensorFlowEngine', engine_class('tensorflow')(execution()))


@pytest.fixture(scope='module')
def model(engine: TensorFlowEngine, scan: ScanData) -> TrainedModel:
    return engine.fit([scan], CNN, SHORT, Monitor())


def make_training(scan: ScanData, config: ModelConfig = CNN, **options: Any) -> PatchTraining:
    from ptychopinn_plugin.backends.tensorflow.cnn_training import PatchTraining

    chosen = execution(**options)
    split = DatasetSplit.from_scans([scan], config, SHORT, with_ground_truth=False)
    schedule = cnn_schedule(chosen, split.steps_per_epoch * SHORT.epochs)
    return PatchTraining(split, config, SHORT, chosen, schedule, lambda: None, '/CPU:0')


def make_history(scan: ScanData, training: PatchTraining) -> TrainingHistory:
    manifest = build_manifest(execution(), CNN, SHORT, [scan])
    steps = training.split.steps_per_epoch
    return TrainingHistory(Monitor(), manifest, scan.probe, steps_per_epoch=steps)


def test_batches_of_all_sizes_share_one_trace(scan: ScanData) -> None:
    training = make_training(scan, ModelConfig(architecture='cnn', gridsize=2))
    history = make_history(scan, training)
    sizes = {len(batch.inputs) for batch in training.split.training_batches(0)}
    assert len(sizes) == 2
    for epoch in range(2):
        training.run_epoch(history, epoch)
    assert training.traces() == {'step': 1, 'evaluate': 1}


def test_reconstructions_of_all_sizes_share_one_trace(
    engine: TensorFlowEngine, model: TrainedModel, scan: ScanData
) -> None:
    for side in (5, 4):
        other = make_scan(side=side, frame_size=64, seed=side)
        engine.reconstruct(other, InferenceConfig(), model, Monitor())
    assert engine.traces()['network'] == 1


def test_weights_come_back_as_they_went(scan: ScanData) -> None:
    from ptychopinn_plugin.backends.tensorflow.cnn_network import PatchNetwork

    config = ModelConfig(architecture='cnn', gridsize=2, probe_trainable=True)
    weights = initial_weights(config, 64, scan.probe, 3)
    network = PatchNetwork(config, 64, 1, weights)
    back = network.weights()
    assert list(back) == list(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(back[name], value)
    trained = {id(variable) for variable in network.variables()}
    assert len(trained) == len(weights)
    with pytest.raises(ModelMismatchError, match=r'encoder\.0\.0\.weight has shape'):
        PatchNetwork(CNN, 64, 1, weights)


@pytest.mark.slow
def test_gradients_gather_over_batches_and_end_with_the_epoch(scan: ScanData) -> None:
    training = make_training(scan, accum_steps=3)
    before = training.network.weights()['decoder.phase.head.weight']
    batches = training.split.training_batches(0)
    for number in range(2):
        training.train(batches[number], number)
    np.testing.assert_array_equal(training.network.weights()['decoder.phase.head.weight'], before)
    training.train(batches[2], 2)
    assert np.any(training.network.weights()['decoder.phase.head.weight'] != before)
    training.run_epoch(make_history(scan, training), 1)
    # Four batches are one step of three and one of the last.
    assert int(training.optimizer.iterations) == 3


def test_gradients_are_clipped(scan: ScanData) -> None:
    training = make_training(scan, gradient_clip_val=1e-9)
    before = training.network.weights()
    training.train(training.split.training_batches(0)[0], 60)
    moved = max(
        np.abs(value - before[name]).max() for name, value in training.network.weights().items()
    )
    # Adam takes no notice of a gradient's size, but for one as small as its epsilon: the first
    # step changes a weight by the learning rate.
    assert 0 < moved < 0.1 * training.schedule.rate(60)


def test_a_probe_does_not_decay(scan: ScanData) -> None:
    config = ModelConfig(architecture='cnn', gridsize=1, probe_trainable=True, probe_mask=True)
    training = make_training(scan, config, learning_rate=1.0, scheduler='ReduceLROnPlateau')
    before = training.network.weights()['probe.real']
    training.train(training.split.training_batches(0)[0], 0)
    after = training.network.weights()['probe.real']
    # Behind the mask no gradient reaches the probe.
    np.testing.assert_array_equal(after[0, 0], before[0, 0])
    assert np.any(after != before)


def test_the_best_checkpoints_are_kept(scan: ScanData, tmp_path: Path) -> None:
    from ptychopinn_plugin.backends.tensorflow.checkpoint import save_checkpoint

    training = make_training(scan)
    history = make_history(scan, training)
    for validation in (0.5, 0.3, 0.4, 0.2):
        history.losses.append((0.1, validation))
        save_checkpoint(tmp_path, training, history, 2)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ['best-00001.checkpoint', 'best-00003.checkpoint', 'last.checkpoint']
