"""A training whose loss is not finite ends, and gives the best model that it had."""

import logging

import numpy as np
import pytest

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled, DivergenceError
from ptychopinn_plugin.io.model_file import Manifest
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.weight_arrays import Weights

GOOD: Weights = {'gain': np.ones(1, np.float32)}


def history() -> TrainingHistory:
    manifest = Manifest(
        package_version='0',
        backend='pytorch',
        model=ModelConfig(),
        training=TrainingConfig(),
        frame_size=16,
        photons_per_frame=(1e5,),
    )
    return TrainingHistory(Monitor(), manifest, np.ones((1, 16, 16), np.complex64))


@pytest.mark.parametrize('loss', [np.nan, np.inf, -np.inf])
def test_a_step_or_epoch_that_is_not_finite_ends_the_training(loss: float) -> None:
    training = history()
    training.add_epoch(0, [1.0], 0.5, lambda: GOOD)
    with pytest.raises(DivergenceError, match='the loss of step 3 of epoch 2 is not finite'):
        training.add_step(1, 2, loss)
    with pytest.raises(DivergenceError, match='the validation loss of epoch 2 is not finite'):
        training.add_epoch(1, [1.0], loss, dict)
    assert training.losses == [(1.0, 0.5)]
    assert training.best_model().weights == GOOD


def test_a_training_that_ended_early_keeps_its_best_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    training = history()
    for stop in (DivergenceError('not finite'), Cancelled('stopped')):
        with pytest.raises(type(stop)):
            training.keep_best(stop)
    for epoch, validation in enumerate([0.5, 0.3, 0.4]):
        training.add_epoch(epoch, [1.0], validation, lambda: GOOD)
    training.keep_best(Cancelled('stopped'))
    assert not caplog.records, 'who asked for it needs no warning'
    training.keep_best(DivergenceError('not finite'))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message == ('not finite. The training ends here; the model is that of epoch 2')
