"""Loggers of the losses of a TensorFlow training."""

from __future__ import annotations

import csv
import importlib
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import tensorflow as tf

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.backends.mlflow_runs import runs_in
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import BackendUnavailableError, OutputError
from ptychopinn_plugin.networks.history import TrainingHistory

logger = logging.getLogger(__name__)

# Called after every epoch.
Logger: TypeAlias = Callable[[TrainingHistory], None]


def build_logger(execution: ExecutionConfig, folder: Path | None) -> Logger:
    """Return the logger of a config; one that does nothing without a folder.

    Raises:
        BackendUnavailableError: its package is not installed.
    """
    if execution.logger == 'none' or folder is None:
        return lambda history: None
    if execution.logger == 'csv':
        return _csv_logger(folder / 'logs' / 'metrics.csv')
    try:
        if execution.logger == 'tensorboard':
            return _tensorboard_logger(folder / 'logs')
        return _mlflow_logger(folder)
    except ImportError as error:
        raise BackendUnavailableError(
            f'the logger {execution.logger!r} cannot be imported ({error}); install it with: '
            "pip install 'ptychopinn-plugin[loggers]', or choose logger = csv"
        ) from error


def _csv_logger(path: Path) -> Logger:
    path.parent.mkdir(parents=True, exist_ok=True)

    def log(history: TrainingHistory) -> None:
        text = io.StringIO(newline='')
        writer = csv.writer(text)
        writer.writerow(('epoch', 'train_loss', 'val_loss'))
        writer.writerows((epoch, *losses) for epoch, losses in enumerate(history.losses))
        try:
            with replacing(path) as file:
                file.write(text.getvalue().encode())
        except OutputError as error:
            logger.warning('%s; the training goes on', error)

    return log


def _tensorboard_logger(folder: Path) -> Logger:
    # tf.summary needs it, and would raise only when it writes.
    importlib.import_module('tensorboard')

    writer = tf.summary.create_file_writer(str(folder))

    def log(history: TrainingHistory) -> None:
        with writer.as_default(step=len(history.losses) - 1):
            tf.summary.scalar('train_loss', history.losses[-1][0])
            tf.summary.scalar('val_loss', history.losses[-1][1])
        writer.flush()

    return log


def _mlflow_logger(folder: Path) -> Logger:
    from mlflow.tracking import MlflowClient

    with runs_in(folder) as address:
        client = MlflowClient(address)
    known = client.get_experiment_by_name('ptychopinn')
    experiment = known.experiment_id if known else client.create_experiment('ptychopinn')
    run = client.create_run(experiment).info.run_id

    def log(history: TrainingHistory) -> None:
        epoch = len(history.losses) - 1
        client.log_metric(run, 'train_loss', history.losses[-1][0], step=epoch)
        client.log_metric(run, 'val_loss', history.losses[-1][1], step=epoch)

    return log
