"""The best model of a training is kept with the losses of all epochs."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.monitor import BestModelMonitor, Monitor, Progress
from tests.fake_engine import fake_model
from tests.worker.helpers import Recorder, quiet_scan, scan_that
from tests.worker.toy import ToyEngine

EXECUTION = ExecutionConfig(backend='pytorch')


def test_without_an_epoch_there_is_no_model() -> None:
    best = BestModelMonitor(Monitor())
    best.on_progress(Progress('train', 1, 8, 0.5, 0.5))
    assert best.best_model is None


def test_a_failed_training_leaves_its_best_model_with_all_losses() -> None:
    best = BestModelMonitor(Monitor())
    with pytest.raises(ModelMismatchError):
        ToyEngine(EXECUTION).fit(
            [scan_that('refuse')], ModelConfig(), TrainingConfig(epochs=6), best
        )
    assert best.best_model is not None
    assert best.best_model.weights['gain'] == 3
    losses = [(1 / epoch, 1.0 + abs(epoch - 3)) for epoch in range(1, 6)]
    np.testing.assert_array_equal(best.best_model.losses, np.array(losses))


def test_steps_within_an_epoch_have_no_losses_to_keep() -> None:
    best = BestModelMonitor(Monitor())
    best.on_better_model(model := fake_model(quiet_scan(), [(1.0, 2.0)]))
    best.on_progress(Progress('train', 1, 8, 0.5))
    assert best.best_model is model


def test_every_call_is_forwarded() -> None:
    recorder = Recorder(stop_at=1, previews=True)
    best = BestModelMonitor(recorder)
    assert not best.should_stop()
    best.on_progress(progress := Progress('train', 1, 8, 0.5))
    best.on_better_model(model := fake_model(quiet_scan(), [(1.0, 2.0)]))
    assert best.should_stop()
    assert best.wants_preview()
    assert best.wants_models()
    assert (recorder.steps, recorder.models) == ([progress], [model])


def test_models_are_forwarded_only_where_they_are_wanted() -> None:
    class Uninterested(Recorder):
        def wants_models(self) -> bool:
            return False

    recorder = Uninterested()
    best = BestModelMonitor(recorder)
    best.on_better_model(model := fake_model(quiet_scan(), [(1.0, 2.0)]))
    assert best.best_model is model
    assert recorder.models == []
