"""Both backends compute the same, and a model file of one is a model file of the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.io.model_file import (
    TrainedModel,
    load_model,
    packaged_model,
    save_model,
)
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import Reconstruction, ScanData
from tests.conftest import BACKENDS
from tests.helpers import make_scan

pytestmark = [pytest.mark.pytorch, pytest.mark.tensorflow]

CONFIGS = [ModelConfig(), ModelConfig(width=4, levels=1), ModelConfig(width=6, levels=4, blocks=1)]
TRAINING = TrainingConfig(
    epochs=2,
    steps_per_epoch=3,
    crop_frames=25,
    reference_passes=4,
    validation_episodes=2,
)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(side=7, step_px=4.0, photons=1e5, modes=2, bad_pixels=20)


@pytest.fixture(scope='module')
def engines() -> dict[str, Engine]:
    return {
        backend: engine_class(backend)(
            ExecutionConfig(backend=backend, accelerator='cpu', logger='none', learning_rate=1e-2)
        )
        for backend in BACKENDS
    }


@pytest.fixture(scope='module')
def models(engines: dict[str, Engine], scan: ScanData) -> dict[str, TrainedModel]:
    config = ModelConfig(width=8, levels=2, blocks=1)
    return {
        backend: engine.fit([scan], config, TRAINING, Monitor())
        for backend, engine in engines.items()
    }


def difference(found: Reconstruction, wanted: Reconstruction) -> float:
    """Return the relative difference of two objects where there is light."""
    lit = wanted.coverage > 0.01
    one, other = found.object_canvas[lit], wanted.object_canvas[lit]
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.parametrize('config', CONFIGS, ids=str)
def test_networks_agree(config: ModelConfig) -> None:
    import tensorflow as tf
    import torch

    from ptychopinn_plugin.backends.pytorch import unrolled_network as in_pytorch
    from ptychopinn_plugin.backends.tensorflow import unrolled_network as in_tensorflow

    first = in_tensorflow.StageNetwork(config)
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 0.1, value.shape).astype(np.float32)
        for name, value in first.weights().items()
    }
    first.set_weights(weights)
    second = in_pytorch.StageNetwork(config)
    second.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    planes = rng.normal(size=(1, 8, 37, 50)).astype(np.float32)
    found = first(tf.constant(planes.transpose(0, 2, 3, 1))).numpy().transpose(0, 3, 1, 2)
    with torch.no_grad():
        wanted = second(torch.tensor(planes)).numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_symmetries_agree() -> None:
    import tensorflow as tf
    import torch

    from ptychopinn_plugin.backends.pytorch.unrolled_stage import apply_symmetry as apply_in_pytorch
    from ptychopinn_plugin.backends.tensorflow.unrolled_stage import apply_symmetry, undo_symmetry

    planes: npt.NDArray[Any] = np.random.default_rng(0).normal(size=(1, 3, 5, 7))
    last = tf.constant(planes.transpose(0, 2, 3, 1))
    for symmetry in range(8):
        found = apply_symmetry(last, tf.constant(symmetry))
        wanted = apply_in_pytorch(torch.tensor(planes), symmetry).numpy()
        np.testing.assert_array_equal(found.numpy().transpose(0, 3, 1, 2), wanted)
        np.testing.assert_array_equal(undo_symmetry(found, tf.constant(symmetry)).numpy(), last)


@pytest.mark.parametrize('noise_model', ['poisson', 'amplitude'])
@pytest.mark.parametrize('update_probe', ['off', 'on'])
def test_physics_agrees(
    engines: dict[str, Engine], scan: ScanData, update_probe: str, noise_model: str
) -> None:
    # Subsets of twelve frames: with six, Poisson steps from an empty object amplify rounding errors
    # a hundred times.
    settings = {'update_probe': update_probe, 'noise_model': noise_model, 'subsets': 4}
    inference = InferenceConfig.model_validate({'refine_iterations': 6, **settings})
    found, wanted = (
        engine.reconstruct(scan, inference, None, Monitor()) for engine in engines.values()
    )
    assert difference(found, wanted) < 1e-4
    np.testing.assert_allclose(found.residual, wanted.residual, rtol=1e-3)
    np.testing.assert_allclose(found.coverage, wanted.coverage, atol=1e-5)
    peak = np.abs(wanted.probe).max()
    np.testing.assert_allclose(found.probe, wanted.probe, atol=1e-4 * peak)


@pytest.mark.slow
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
        engine.reconstruct(scan, InferenceConfig(refine_iterations=4, subsets=4), model, Monitor())
        for engine in engines.values()
    )
    assert (found.backend, wanted.backend) == BACKENDS
    assert found.model_name == wanted.model_name
    assert difference(found, wanted) < 1e-4


def test_the_packaged_model_updates_an_object_alike() -> None:
    import tensorflow as tf
    import torch

    from ptychopinn_plugin.backends.pytorch import unrolled_stage as in_pytorch
    from ptychopinn_plugin.backends.pytorch.ops import TorchOps
    from ptychopinn_plugin.backends.tensorflow import unrolled_stage as in_tensorflow
    from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps

    model = packaged_model()
    rng = np.random.default_rng(0)
    real, imag, *noise = rng.normal(size=(4, 70, 53)).astype(np.float32)
    canvas_object = (1 + 0.1 * (real + 1j * imag)).astype(np.complex64)
    direction = (0.1 * (noise[0] + 1j * noise[1])).astype(np.complex64)
    dose = np.full((70, 53), 30, np.float32)
    arrays = (canvas_object, direction, dose)
    with torch.no_grad():
        ops = TorchOps(torch.device('cpu'))
        stage = in_pytorch.LearnedStage.from_weights(ops, model.manifest.model, model.weights)
        wanted = stage(*(torch.tensor(one) for one in arrays)).numpy()
    other = in_tensorflow.LearnedStage.from_weights(
        TensorFlowOps('/CPU:0', fused=False), model.manifest.model, model.weights
    )
    found = other(*(tf.constant(one) for one in arrays)).numpy()
    assert np.linalg.norm(wanted - canvas_object) > 1e-2 * np.linalg.norm(canvas_object)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.slow
def test_both_train_the_same_network(engines: dict[str, Engine], scan: ScanData) -> None:
    # The network of the package, so that both start from the same weights.
    found, wanted = (
        engines[backend].fit([scan], ModelConfig(), TRAINING, Monitor())
        for backend in ('tensorflow', 'pytorch')
    )
    shapes = [{name: value.shape for name, value in one.weights.items()} for one in (found, wanted)]
    assert shapes[0] == shapes[1]
    assert found.manifest.data_fingerprint == wanted.manifest.data_fingerprint
    np.testing.assert_allclose(found.losses, wanted.losses, rtol=0.02, atol=0.01)
