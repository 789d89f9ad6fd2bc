"""Training in Lightning: epochs, checkpoints, early stopping, stop on request."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ptychopinn_plugin.backends.out_of_memory import out_of_memory
from ptychopinn_plugin.backends.pytorch.checkpoint import (
    CheckpointEveryEpoch,
    CheckpointFiles,
    find_checkpoint,
    history_state,
    restore_history,
)
from ptychopinn_plugin.backends.pytorch.devices import check_device_count, is_out_of_memory
from ptychopinn_plugin.backends.pytorch.lightning_module import Training
from ptychopinn_plugin.backends.pytorch.loader_processes import check_main_guard
from ptychopinn_plugin.backends.pytorch.loggers import build_logger
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import Cancelled, DivergenceError, PtychoPINNError
from ptychopinn_plugin.networks.checkpoint_errors import unreadable_checkpoint
from ptychopinn_plugin.networks.checkpoint_files import prepare_folder
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule


class HistoryCallback(Callback):
    """Adds the steps and epochs of a training to its history, and stops it early."""

    def __init__(
        self, history: TrainingHistory, schedule: LearningRateSchedule, patience: int
    ) -> None:
        self.history = history
        self.schedule = schedule
        self.patience = patience
        self.has_started = False

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Measure the network that the training begins with, unless it is resumed."""
        del trainer
        self.has_started = True
        if not self.history.losses:
            cast('Training', pl_module).begin(self.history)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Add a step."""
        module = cast('Training', pl_module)
        self.history.add_step(trainer.current_epoch, batch_idx, module.epoch_losses[-1])

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Add an epoch; stop after `patience` epochs without improvement."""
        cast('Training', pl_module).end_epoch(self.history, trainer.current_epoch)
        self.schedule.end_epoch(self.history.losses[-1][1])
        stop = self.history.gains_nothing(self.patience)
        # All devices have to stop in the same epoch.
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the history's part of a checkpoint."""
        return history_state(self.history)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the history, and the schedule that follows from it."""
        restore_history(self.history, state_dict)
        # The state of the schedule follows from the losses, so no checkpoint holds it.
        for _, validation_loss in self.history.losses:
            self.schedule.end_epoch(validation_loss)


def run_training(
    training: Training,
    history: TrainingHistory,
    execution: ExecutionConfig,
    device: torch.device,
    folder: Path | None,
    *,
    resume: bool,
) -> None:
    """Train until the epochs are done, nothing improves or the monitor asks for a stop.

    Args:
        training: network, data and steps.
        history: receives the losses and the best weights.
        execution: devices, logger, checkpoints and early stopping.
        device: where to train.
        folder: for logs and checkpoints; None writes neither.
        resume: whether to continue from the folder's last checkpoint.

    Raises:
        BackendUnavailableError: this machine has fewer devices than were asked for.
        Cancelled: stopped before the first epoch was done.
        CheckpointError: there is no checkpoint to resume, or it does not fit.
        CollapseError: the network has collapsed to a state without useful gradients.
        ConfigError: loader processes would run the user's script again.
        DivergenceError: the loss was not finite before the first epoch was done.
    """
    check_device_count(execution, device)
    check_main_guard(execution.num_workers)
    callback = HistoryCallback(history, training.schedule, execution.early_stop_patience)
    with quiet_lightning():
        trainer = _build_trainer(callback, execution, device, folder)
        if folder is not None and trainer.is_global_zero:
            prepare_folder(folder, resume=resume)
        path = find_checkpoint(folder, training.network, history) if resume else None
        try:
            with _restoring(path, callback):
                # So that a checkpoint cannot run code.
                trainer.fit(training, ckpt_path=path, weights_only=True)
        except SIGTERMException:
            # Lightning's own handler comes first; whoever asked for the stop wants the model.
            if not history.monitor.should_stop():
                raise
        except (Cancelled, DivergenceError, OSError) as stop:
            # A full disk costs the rest of the training, not what it has learned.
            history.keep_best(stop)
        except (RuntimeError, MemoryError) as error:
            if not history.losses or not is_out_of_memory(error):
                raise
            history.keep_best(out_of_memory(error))
    if not history.losses:
        raise Cancelled('the training ended before its first epoch was done')


@contextmanager
def _restoring(path: Path | None, callback: HistoryCallback) -> Iterator[None]:
    """Raise what a checkpoint leads Lightning to before the first step as `CheckpointError`."""
    try:
        yield
    except PtychoPINNError:
        raise
    except Exception as error:
        if path is None or callback.has_started or is_out_of_memory(error):
            raise
        raise unreadable_checkpoint(path, error) from error


def _build_trainer(
    callback: HistoryCallback,
    execution: ExecutionConfig,
    device: torch.device,
    folder: Path | None,
) -> lightning.Trainer:
    """Return Lightning's trainer, with neither progress bar nor summary."""
    checkpoints = []
    if folder is not None and execution.enable_checkpointing:
        checkpoints.append(CheckpointEveryEpoch(folder))
    return lightning.Trainer(
        accelerator='gpu' if device.type == 'cuda' else device.type,
        devices=execution.devices,
        num_nodes=execution.num_nodes,
        strategy=execution.strategy,
        max_epochs=callback.history.config.epochs,
        logger=build_logger(execution, folder) or False,
        callbacks=[callback, *checkpoints],
        enable_checkpointing=bool(checkpoints),
        plugins=[CheckpointFiles(callback.history, execution.checkpoint_save_top_k)],
        # The batches of a validation are not divided, see `Training.build_loader`.
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        # Lightning's validation before the first epoch would enter the history as an epoch.
        num_sanity_val_steps=0,
        # Each epoch has batches of its own.
        reload_dataloaders_every_n_epochs=1,
        log_every_n_steps=1,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's advice about trainers, loaders and loggers."""
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
