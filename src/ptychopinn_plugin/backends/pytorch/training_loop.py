"""Runs a training in Lightning: logging, checkpoints, early stopping, stop on request."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger

from ptychopinn_plugin.backends.mlflow_runs import runs_in
from ptychopinn_plugin.backends.pytorch.devices import check_devices
from ptychopinn_plugin.backends.pytorch.lightning_module import Training
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import BackendUnavailableError, Cancelled
from ptychopinn_plugin.networks import checkpoint_errors as checkpoints
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate

CHECKPOINT_NAME = 'last.ckpt'


class Keeper(Callback):
    """Writes the record of a Lightning training and stops it once nothing improves."""

    def __init__(self, record: TrainingHistory, schedule: LearningRateSchedule, patience: int) -> None:
        self.record = record
        self.schedule = schedule
        self.patience = patience

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Report a step."""
        module = cast('Training', pl_module)
        self.record.step(trainer.current_epoch, batch_idx, module.epoch_losses[-1])

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Close an epoch."""
        cast('Training', pl_module).close_epoch(self.record, trainer.current_epoch)
        self.schedule.end_epoch(self.record.losses[-1][1])
        stop = self.record.epochs_without_gain() >= self.patience
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs to know."""
        record = self.record
        weights = {name: torch.tensor(value) for name, value in (record.weights or {}).items()}
        return {
            'weights': weights,
            'trust': None if record.trust is None else record.trust.factor.tolist(),
            'best': record.best,
            'losses': record.losses,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where another training stopped."""
        record = self.record
        weights = {name: value.numpy() for name, value in state_dict['weights'].items()}
        record.weights = weights or None
        trust = state_dict['trust']
        record.trust = None if trust is None else DoseGate(np.asarray(trust, np.float32))
        record.best = state_dict['best']
        record.losses = [(float(a), float(b)) for a, b in state_dict['losses']]
        for _, validation in record.losses:
            self.schedule.end_epoch(validation)


def run_training(
    module: Training,
    record: TrainingHistory,
    execution: ExecutionConfig,
    device: torch.device,
    folder: Path | None,
    *,
    resume: bool,
) -> None:
    """Train until the epochs are done, nothing improves or the monitor asks for a stop.

    Args:
        module: what to train.
        record: is written.
        execution: devices, logger, checkpoints and early stopping.
        device: where.
        folder: for logs and checkpoints; None keeps neither.
        resume: whether to go on from the folder's last checkpoint.

    Raises:
        BackendUnavailableError: this machine has fewer devices than were asked for.
        Cancelled: stopped before there was anything to keep.
        CheckpointError: there is no checkpoint to resume, or it does not fit.
        CollapseError: the network went to a state that it cannot learn from.
    """
    check_devices(execution, device)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    keeper = Keeper(record, module.schedule, execution.early_stop_patience)
    keeps = folder is not None and execution.enable_checkpointing
    with quiet_lightning():
        trainer = lightning.Trainer(
            accelerator='gpu' if device.type == 'cuda' else device.type,
            devices=execution.devices,
            num_nodes=execution.num_nodes,
            strategy=execution.strategy,
            max_epochs=record.config.epochs,
            logger=_logger(execution, folder) or False,
            callbacks=[keeper, *(_checkpoints(execution, folder) if keeps else [])],
            enable_checkpointing=keeps,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            log_every_n_steps=1,
        )
        try:
            trainer.fit(
                module,
                ckpt_path=_checkpoint(folder, module) if resume else None,
                weights_only=True,
            )
        except Cancelled:
            if record.weights is None:
                raise
    if record.weights is None:
        raise Cancelled('the training ended before its first epoch was done')


def _checkpoints(execution: ExecutionConfig, folder: Path | None) -> list[Callback]:
    """Return what keeps the last checkpoint and those of the best epochs."""
    kept: list[Callback] = [
        ModelCheckpoint(
            folder,
            filename=Path(CHECKPOINT_NAME).stem,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
    ]
    if execution.checkpoint_save_top_k:
        kept.append(
            ModelCheckpoint(
                folder,
                filename='best-{epoch:05d}',
                auto_insert_metric_name=False,
                monitor=execution.checkpoint_monitor_metric,
                save_top_k=execution.checkpoint_save_top_k,
                save_on_train_epoch_end=True,
            )
        )
    return kept


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice about trainers, loaders and loggers from the user."""
    names = ('lightning.pytorch', 'lightning.fabric', 'lightning.pytorch.utilities.rank_zero')
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', module='lightning.*')
        warnings.filterwarnings('ignore', message='.*num_workers.*')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _logger(execution: ExecutionConfig, folder: Path | None) -> Logger | None:
    """Return the logger that a config asks for; none without a folder to log to."""
    if execution.logger == 'none' or folder is None:
        return None
    try:
        if execution.logger == 'tensorboard':
            return TensorBoardLogger(folder, name='logs')
        if execution.logger == 'mlflow':
            with runs_in(folder) as address:
                return MLFlowLogger('ptychopinn', tracking_uri=address)
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f'the logger {execution.logger!r} cannot be imported ({error}); install it with: '
            "pip install 'ptychopinn-plugin[loggers]', or choose --logger csv"
        ) from error
    return CSVLogger(folder, name='logs')


def _checkpoint(folder: Path | None, module: Training) -> Path:
    """Return the checkpoint to resume, after a look at whether it fits."""
    path = None if folder is None else folder / CHECKPOINT_NAME
    if path is None or not path.is_file():
        raise checkpoints.missing(path)
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
        shapes = {
            name.removeprefix('network.'): tuple(value.shape)
            for name, value in content['state_dict'].items()
        }
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise checkpoints.unreadable(path, error) from error
    needed = {name: tuple(value.shape) for name, value in module.network.state_dict().items()}
    if shapes != needed:
        raise checkpoints.of_another_shape(path)
    return path
