"""Both backends build, train and apply the same published network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.io.model_file import TrainedModel, load_model, save_model
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.architecture import initial_weights
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.learning_rate import cnn_schedule
from ptychopinn_plugin.networks.weight_arrays import Weights
from ptychopinn_plugin.scan import ScanData
from tests.conftest import BACKENDS
from tests.helpers import make_known_scan

pytestmark = [pytest.mark.pytorch, pytest.mark.tensorflow]

LOSSES = TrainingConfig(
    batch_size=3, mae_weight=0.7, realspace_weight=0.2, realspace_mae_weight=0.4, nphotons=2e5
)
CASES: dict[str, tuple[dict[str, Any], TrainingConfig]] = {
    'default': ({}, TrainingConfig(batch_size=3)),
    'groups': ({'gridsize': 2, 'probe_trainable': True, 'probe_mask': True}, LOSSES),
    'groups alone': (
        {'gridsize': 2, 'object_big': False, 'gaussian_smoothing_sigma': 0.8},
        TrainingConfig(batch_size=3, nll_weight=0, mae_weight=1),
    ),
    'whole': ({'pad_object': False, 'amp_activation': 'swish'}, LOSSES),
    'real and imaginary part': ({'gridsize': 2, 'output_form': 'real_imag'}, LOSSES),
    'real part, dark border': (
        {'output_form': 'real_imag', 'probe_big': False, 'probe_scale': 1.5},
        TrainingConfig(batch_size=3),
    ),
    'dark border': (
        {'probe_big': False, 'amp_activation': 'softplus', 'intensity_scale_trainable': False},
        LOSSES,
    ),
    'correction': ({'network_input': 'back_projection'}, LOSSES),
    'correction of whole patches of a reconstruction': (
        {'network_input': 'back_projection', 'pad_object': False, 'n_filters_scale': 0.5},
        TrainingConfig(batch_size=3, training_target='reconstruction'),
    ),
    'reconstruction from amplitudes': (
        {'gridsize': 2},
        TrainingConfig(batch_size=3, training_target='reconstruction', realspace_weight=0.1),
    ),
    'supervised': ({'model_type': 'supervised', 'amp_activation': 'relu'}, TrainingConfig()),
}


TRAINING = TrainingConfig(epochs=2, batch_size=4)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    known = make_known_scan(side=4, frame_size=64, step_px=5.0, modes=2, bad_pixels=20)
    return dataclasses.replace(known.scan, object_guess=known.ground_truth)


@pytest.fixture(scope='module')
def engines() -> dict[str, Engine]:
    # Three batches an epoch make two steps, the second of one batch only.
    chosen: dict[str, Any] = {'accelerator': 'cpu', 'logger': 'none', 'accum_steps': 2}
    return {
        backend: engine_class(backend)(ExecutionConfig(backend=backend, **chosen))
        for backend in BACKENDS
    }


@pytest.fixture(scope='module')
def models(engines: dict[str, Engine], scan: ScanData) -> dict[str, TrainedModel]:
    config = ModelConfig(architecture='cnn', gridsize=2)
    return {
        backend: engine.fit([scan], config, TRAINING, Monitor())
        for backend, engine in engines.items()
    }


class Both:
    """A training of each backend that has not begun, with the same weights."""

    def __init__(self, scan: ScanData, config: ModelConfig, training: TrainingConfig) -> None:
        from ptychopinn_plugin.backends.pytorch import cnn_training as in_pytorch
        from ptychopinn_plugin.backends.tensorflow import cnn_training as in_tensorflow

        split = DatasetSplit.from_scans([scan], config, training, with_ground_truth=True)
        execution = ExecutionConfig()
        schedule = cnn_schedule(execution, 1)
        self.split = split
        self.pytorch = in_pytorch.PatchTraining(
            split, config, training, execution, schedule, lambda: None
        )
        self.tensorflow = in_tensorflow.PatchTraining(
            split, config, training, execution, schedule, lambda: None, '/CPU:0'
        )
        rng = np.random.default_rng(0)
        # Fresh heads are small and biases 0, so that mistakes there would not be seen.
        weights = {
            name: (value + rng.normal(0, 0.05, value.shape)).astype(np.float32)
            for name, value in initial_weights(config, 64, scan.probe, 0).items()
        }
        self.pytorch.network.set_weights(weights)
        self.tensorflow.network.set_weights(weights)

    def by_tensorflow(self, batch: GroupBatch) -> tuple[Any, Any, Any, Weights]:
        import tensorflow as tf

        from ptychopinn_plugin.backends.tensorflow.signatures import batch_arrays

        training = self.tensorflow
        arrays = {name: tf.constant(value) for name, value in batch_arrays(batch).items()}
        with tf.GradientTape() as tape:
            (loss, _), patches, peaks = training.evaluate(arrays)
        variables = training.network.variables()
        gradients = tape.gradient(
            loss, [one.value for one in variables], unconnected_gradients='zero'
        )
        # The network itself knows how to give its numbers as a model file has them.
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign(gradient)
        return float(loss), patches.numpy(), peaks.numpy(), training.network.weights()

    def by_pytorch(self, batch: GroupBatch) -> tuple[Any, Any, Any, Weights]:
        import torch

        peaks: list[torch.Tensor] = []
        (loss, _), patches = self.pytorch.evaluate(batch, peaks)
        torch.autograd.backward(loss)
        gradients = {
            name: np.zeros(value.shape, np.float32) if value.grad is None else value.grad.numpy()
            for name, value in self.pytorch.network.named_parameters()
        }
        predicted, highest = (one.detach().numpy() for one in (patches, torch.cat(peaks)))
        return float(loss.detach()), predicted, highest, gradients


def relative(found: Any, wanted: Any) -> float:
    return float(np.linalg.norm(found - wanted) / max(float(np.linalg.norm(wanted)), 1e-30))


@pytest.mark.parametrize('case', CASES)
def test_networks_losses_and_gradients_agree(scan: ScanData, case: str) -> None:
    fields, training = CASES[case]
    both = Both(scan, ModelConfig.model_validate({'architecture': 'cnn', **fields}), training)
    batch = both.split.training_batches(0)[0]
    found, wanted = both.by_tensorflow(batch), both.by_pytorch(batch)
    assert found[0] == pytest.approx(wanted[0], rel=1e-4)
    assert found[1].shape == wanted[1].shape
    assert relative(found[1], wanted[1]) < 1e-4
    np.testing.assert_allclose(found[2], wanted[2], rtol=1e-3, atol=1e-4 * wanted[2].max())
    gradients, theirs = found[3], wanted[3]
    assert gradients.keys() == theirs.keys()
    assert any(value.any() for value in theirs.values())
    for name, value in theirs.items():
        assert relative(gradients[name], value) < 2e-3, name


def test_both_take_the_same_steps(models: dict[str, TrainedModel]) -> None:
    found, wanted = models['tensorflow'], models['pytorch']
    assert list(found.weights) == list(wanted.weights)
    np.testing.assert_allclose(found.losses, wanted.losses, rtol=1e-4)
    start = initial_weights(wanted.manifest.model, 64, wanted.probe, TRAINING.seed)
    # Adam makes a step of like size of any gradient, also of one that is rounding and no more.
    assert relative_distance(found.weights, wanted.weights, start) < 1e-2


def relative_distance(found: Weights, wanted: Weights, start: Weights) -> float:
    """Return how far two trainings ended from each other, relative to how far they went."""
    between = sum(float(np.sum((found[name] - wanted[name]) ** 2)) for name in start)
    went = sum(float(np.sum((wanted[name] - start[name]) ** 2)) for name in start)
    return float(np.sqrt(between / went))


@pytest.mark.parametrize('trained_by', BACKENDS)
def test_a_model_file_crosses_over(
    engines: dict[str, Engine],
    models: dict[str, TrainedModel],
    scan: ScanData,
    trained_by: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / 'model.safetensors'
    save_model(path, models[trained_by])
    model = load_model(path)
    assert model.manifest.backend == trained_by
    found, wanted = (
        engine.reconstruct(scan, InferenceConfig(), model, Monitor()) for engine in engines.values()
    )
    assert (found.backend, wanted.backend) == BACKENDS
    lit = np.isfinite(wanted.object_canvas)
    np.testing.assert_array_equal(np.isfinite(found.object_canvas), lit)
    assert relative(found.object_canvas[lit], wanted.object_canvas[lit]) < 1e-4
    np.testing.assert_allclose(found.residual, wanted.residual, rtol=1e-3)
