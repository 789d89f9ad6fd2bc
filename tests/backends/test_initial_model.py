"""Trainings that go on from a trained model, on every backend."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin import train
from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import Backend, ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.architecture import INTENSITY
from ptychopinn_plugin.networks.initial_model import initial_model_weights
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_scan

MODELS: dict[str, ModelConfig] = {
    'cnn': ModelConfig(architecture='cnn', network_input='back_projection', n_filters_scale=0.5),
    'unrolled': ModelConfig(width=8, levels=1, blocks=1),
}
TRAININGS: dict[str, TrainingConfig] = {
    'cnn': TrainingConfig(epochs=1, batch_size=4, validation_fraction=0.3),
    'unrolled': TrainingConfig(epochs=1, steps_per_epoch=1, reference_passes=2, crop_frames=16),
}


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=64, side=4, step_px=6.0, photons=1e5)


def made(backend: Backend, rate: float) -> Engine:
    execution = ExecutionConfig(
        backend=backend, accelerator='cpu', logger='none', learning_rate=rate
    )
    return engine_class(backend)(execution)


@pytest.mark.parametrize('architecture', MODELS)
def test_a_training_begins_with_the_weights_of_the_model(
    backend: Backend, scan: ScanData, architecture: str
) -> None:
    config, training = MODELS[architecture], TRAININGS[architecture]
    first = made(backend, 1e-3).fit([scan], config, training, Monitor())
    # A rate at which nothing moves far.
    second = made(backend, 1e-9).fit(
        [scan], config, training.model_copy(update={'seed': 5}), Monitor(), initial=first
    )
    for name, value in first.weights.items():
        if name != 'trust.factor':
            np.testing.assert_allclose(second.weights[name], value, atol=1e-6)


def test_epochs_that_are_worse_leave_the_model_as_it_was(backend: Backend, scan: ScanData) -> None:
    config, training = MODELS['cnn'], TRAININGS['cnn']
    first = made(backend, 1e-3).fit([scan], config, training, Monitor())
    far = made(backend, 0.3).fit([scan], config, training, Monitor(), initial=first)
    assert far.losses[0, 1] > first.losses[0, 1]
    for name, value in first.weights.items():
        np.testing.assert_array_equal(far.weights[name], value)


@pytest.fixture
def untrained(scan: ScanData) -> TrainedModel:
    from ptychopinn_plugin.networks.cnn.architecture import initial_weights
    from ptychopinn_plugin.networks.model_manifest import build_manifest

    config = MODELS['cnn']
    manifest = build_manifest(ExecutionConfig(), config, TRAININGS['cnn'], [scan])
    weights = initial_weights(config, 64, scan.probe, 0)
    return TrainedModel(weights, scan.probe, np.zeros((0, 2)), manifest)


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'n_filters_scale': 1.0}, 'n_filters_scale 0.5 instead of 1.0'),
        ({'architecture': 'unrolled'}, 'architecture cnn instead of unrolled'),
        ({'pad_object': False}, 'pad_object True instead of False'),
    ],
)
def test_a_model_of_another_network_is_refused(
    scan: ScanData, untrained: TrainedModel, fields: dict[str, Any], message: str
) -> None:
    other = MODELS['cnn'].model_copy(update=fields)
    with pytest.raises(ModelMismatchError, match=message):
        initial_model_weights(untrained, other, [scan])


def test_a_model_for_other_frames_is_refused(untrained: TrainedModel) -> None:
    small = make_scan(frame_size=32, side=4)
    with pytest.raises(ModelMismatchError, match=r'frames of 64 x 64 .* have 32'):
        initial_model_weights(untrained, MODELS['cnn'], [small])


def test_a_size_that_was_asked_for_is_no_part_of_the_network(
    scan: ScanData, untrained: TrainedModel
) -> None:
    asked = MODELS['cnn'].model_copy(update={'frame_size': 64})
    assert initial_model_weights(untrained, asked, [scan]) is untrained.weights
    assert initial_model_weights(None, asked, [scan]) is None


def test_python_takes_the_network_of_the_initial_model(
    backend: Backend, scan: ScanData, untrained: TrainedModel
) -> None:
    unlike = dataclasses.replace(untrained, weights=dict(untrained.weights))
    unlike.weights[INTENSITY] = np.full(1, 0.25, np.float32)
    found = train(
        scan,
        training=TRAININGS['cnn'],
        execution=ExecutionConfig(
            backend=backend, accelerator='cpu', logger='none', learning_rate=1e-9
        ),
        initial_model=unlike,
    )
    assert found.manifest.model == MODELS['cnn']
    assert found.weights[INTENSITY] == pytest.approx(0.25, abs=1e-4)
