"""Where a TensorFlow training logs its losses."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.mlflow_runs import runs_in
from ptychopinn_plugin.config import Backend, ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import BackendUnavailableError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from tests.helpers import make_scan

pytestmark = pytest.mark.tensorflow

NEEDS = "comes with the extra 'loggers'"


def train(logger: str, folder: Path | None, backend: Backend = 'tensorflow') -> TrainedModel:
    execution = ExecutionConfig.model_validate(
        {'backend': backend, 'accelerator': 'cpu', 'logger': logger}
    )
    training = TrainingConfig(
        epochs=2, steps_per_epoch=1, crop_frames=9, reference_passes=1, validation_episodes=1
    )
    network = ModelConfig(width=4, levels=1, blocks=1)
    engine = engine_class(backend)(execution)
    return engine.fit([make_scan(side=4)], network, training, Monitor(), folder=folder)


def test_csv_holds_the_history_of_the_model(tmp_path: Path) -> None:
    model = train('csv', tmp_path)
    with (tmp_path / 'logs' / 'metrics.csv').open(newline='') as file:
        rows = list(csv.reader(file))
    assert rows[0] == ['epoch', 'train_loss', 'val_loss']
    assert [row[0] for row in rows[1:]] == ['0', '1']
    losses = np.asarray([row[1:] for row in rows[1:]], np.float64)
    np.testing.assert_allclose(losses, model.losses)


def test_tensorboard_holds_the_history_of_the_model(tmp_path: Path) -> None:
    pytest.importorskip('tensorboard', reason=NEEDS)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    model = train('tensorboard', tmp_path)
    events = EventAccumulator(str(tmp_path / 'logs'))
    events.Reload()
    for column, name in enumerate(('train_loss', 'val_loss')):
        logged = events.Tensors(name)
        assert [event.step for event in logged] == [0, 1]
        values = [make_ndarray(event.tensor_proto) for event in logged]
        np.testing.assert_allclose(values, model.losses[:, column], rtol=1e-6)


def test_mlflow_holds_the_history_of_the_model(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = pytest.importorskip('mlflow.tracking', reason=NEEDS)
    monkeypatch.delenv('MLFLOW_ALLOW_FILE_STORE', raising=False)

    model = train('mlflow', tmp_path, backend)
    assert 'MLFLOW_ALLOW_FILE_STORE' not in os.environ
    with runs_in(tmp_path) as address:
        client = tracking.MlflowClient(address)
    experiment = client.get_experiment_by_name('ptychopinn').experiment_id
    (run,) = client.search_runs([experiment])
    for column, name in enumerate(('train_loss', 'val_loss')):
        logged = sorted(client.get_metric_history(run.info.run_id, name), key=lambda one: one.step)
        values = [one.value for one in logged]
        np.testing.assert_allclose(values, model.losses[:, column], rtol=1e-6)


@pytest.mark.parametrize(('logger', 'to_a_folder'), [('none', True), ('csv', False)])
def test_nothing_is_logged_unasked(
    logger: str, to_a_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train(logger, tmp_path / 'run' if to_a_folder else None)
    assert not list(tmp_path.rglob('logs'))
    assert not list(tmp_path.rglob('mlruns'))


@pytest.mark.parametrize(('logger', 'package'), [('tensorboard',) * 2, ('mlflow',) * 2])
def test_a_missing_logger_says_what_to_install(
    logger: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [name for name in sys.modules if name.split('.')[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"the logger '{logger}' cannot be imported .*ptychopinn-plugin\[loggers\].*csv"
    with pytest.raises(BackendUnavailableError, match=message):
        train(logger, tmp_path)
