"""The network that corrects what a step of physics gives, on every backend."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.io.model_file import Manifest, TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.architecture import initial_weights
from ptychopinn_plugin.networks.cnn.back_projection import back_projected_object
from ptychopinn_plugin.scan import ScanData
from tests.helpers import KnownScan, make_known_scan

CORRECTION = {'architecture': 'cnn', 'network_input': 'back_projection', 'n_filters_scale': 0.5}


def correction(**fields: Any) -> ModelConfig:
    return ModelConfig.model_validate({**CORRECTION, **fields})


@pytest.fixture
def engine(backend: Backend) -> Engine:
    execution = ExecutionConfig(backend=backend, accelerator='cpu', logger='none')
    return engine_class(backend)(execution)


@pytest.fixture(scope='module')
def known() -> KnownScan:
    return make_known_scan(frame_size=64, side=4, step_px=6.0, bad_pixels=20)


def object_of(engine: Engine, scan: ScanData, model: TrainedModel) -> Any:
    inference = InferenceConfig(estimate_errors=False, update_probe='off')
    return engine.reconstruct(scan, inference, model, Monitor())


@pytest.mark.parametrize('pad_object', [True, False])
def test_a_network_that_draws_nothing_leaves_the_step_of_physics(
    engine: Engine, known: KnownScan, pad_object: bool
) -> None:
    config = correction(pad_object=pad_object)
    weights = initial_weights(config, 64, known.scan.probe, seed=0)
    weights['decoder.correction.head.weight'] *= 0
    manifest = Manifest(
        package_version='1',
        backend=engine.backend,
        model=config,
        training=TrainingConfig(),
        frame_size=64,
    )
    model = TrainedModel(weights, known.scan.probe, np.zeros((1, 2)), manifest)
    found = object_of(engine, known.scan, model)
    image = back_projected_object(known.scan, known.scan.probe)
    top, left = np.asarray(found.origin_px) - np.asarray(image.origin_px)
    height, width = image.values.shape
    drawn = found.object_canvas[-top : height - top, -left : width - left]
    lit = found.coverage[-top : height - top, -left : width - left] > 0.3
    turned = drawn[lit] * np.exp(-1j * np.angle(np.vdot(image.values[lit], drawn[lit])))
    assert np.abs(turned - image.values[lit]).max() < 2e-2


def test_a_training_on_the_reconstruction_gains_and_reconstructs(
    engine: Engine, known: KnownScan
) -> None:
    training = TrainingConfig(
        epochs=3,
        batch_size=4,
        training_target='reconstruction',
        validation_fraction=0.3,
        reference_passes=6,
    )
    model = engine.fit([known.scan], correction(), training, Monitor())
    assert model.losses[-1, 0] < 0.9 * model.losses[0, 0]
    found = object_of(engine, known.scan, model)
    assert found.residual[0] < 1
    assert found.stages == ('network',)


def test_the_reconstruction_takes_the_place_of_all_that_is_given(
    engine: Engine, known: KnownScan
) -> None:
    # A guess of another object, and true patches of zeros, are not what is learned.
    training = TrainingConfig(
        epochs=1, training_target='reconstruction', validation_fraction=0.3, reference_passes=2
    )
    misled = dataclasses.replace(
        known.scan, true_patches=np.zeros(known.scan.counts.shape, np.complex64)
    )
    found, wanted = (
        engine.fit([scan], correction(), training, Monitor()).losses
        for scan in (misled, known.scan)
    )
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ('model', 'training', 'message'),
    [
        ({'probe_trainable': True}, {}, 'take probe_trainable = false'),
        (
            {'model_type': 'supervised'},
            {'training_target': 'reconstruction'},
            'give one of them',
        ),
    ],
)
def test_settings_that_exclude_each_other_are_refused(
    engine: Engine,
    known: KnownScan,
    model: dict[str, Any],
    training: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=message):
        engine.fit(
            [known.scan], correction(**model), TrainingConfig.model_validate(training), Monitor()
        )
