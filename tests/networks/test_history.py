"""A training whose loss is not finite ends, and gives the best model that it had."""

import logging

import numpy as np
import pytest

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled, DivergenceError
from ptychopinn_plugin.io.model_file import Manifest
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.epoch_clock import EpochClock
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


def test_the_network_that_is_trained_further_stays_where_no_epoch_is_better() -> None:
    start: Weights = {'gain': np.zeros(1, np.float32)}
    training = history()
    training.begin(0.4, start, None)
    with pytest.raises(Cancelled):
        training.keep_best(Cancelled('stopped'))  # no epoch was done
    for epoch, validation in enumerate([0.6, 0.5]):
        training.add_epoch(epoch, [1.0], validation, lambda: GOOD)
    assert training.best_model().weights == start
    assert training.epochs_without_improvement() == 2
    training.add_epoch(2, [1.0], 0.3, lambda: GOOD)
    assert training.best_model().weights == GOOD
    assert training.epochs_without_improvement() == 0


def test_the_time_to_come_is_told_from_the_first_epoch_on() -> None:
    clock = EpochClock()
    assert clock.seconds_left(0.5, 10, 30.0) is None
    # 60 s, of which 40 s are not spent again.
    clock.end_epoch(60.0, 40.0)
    assert clock.seconds_left(1, 10, 60.0) == pytest.approx(9 * 20)
    assert clock.seconds_left(1.5, 10, 70.0) == pytest.approx(8 * 20 + 10)
    # Slower than expected: nothing of this epoch is left, but it is not negative.
    assert clock.seconds_left(1.9, 10, 90.0) == pytest.approx(8 * 20)
    clock.end_epoch(95.0, 40.0)
    assert clock.seconds_left(2, 10, 95.0) == pytest.approx(8 * 35)
    assert clock.seconds_left(10, 10, 400.0) == 0


def test_progress_tells_the_time_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Progress] = []
    training = history()
    monkeypatch.setattr(training.monitor, 'on_progress', seen.append)
    training.add_step(0, 0, 1.0)
    training.add_epoch(0, [1.0], 0.5, lambda: GOOD)
    training.add_step(1, 0, 1.0)
    assert [one.seconds_left is None for one in seen] == [True, False, False]


def test_a_training_that_gains_nothing_more_says_that_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    training = history()
    for epoch, validation in enumerate([0.5, 0.3, 0.4, 0.35]):
        assert not training.losses or not training.gains_nothing(2)
        training.add_epoch(epoch, [1.0], validation, lambda: GOOD)
    assert training.gains_nothing(2)
    assert 'ends after 4 epochs: the loss has not improved for 2 of them' in caplog.text
