"""Training in TensorFlow: epochs, checkpoints, early stopping, stop on request."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import tensorflow as tf

from ptychopinn_plugin.backends.out_of_memory import out_of_memory
from ptychopinn_plugin.backends.tensorflow.checkpoint import (
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)
from ptychopinn_plugin.backends.tensorflow.loggers import build_logger
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import Cancelled, DivergenceError
from ptychopinn_plugin.networks.checkpoint_files import prepare_folder
from ptychopinn_plugin.networks.history import TrainingHistory


class Training(TrainingState, Protocol):
    """A training of one of the architectures."""

    def begin(self, history: TrainingHistory) -> None:
        """Measure the network before the first epoch, where it has been trained before."""

    def run_epoch(self, history: TrainingHistory, epoch: int) -> None:
        """Train and validate one epoch, numbered from 0, and add it to the history."""


def run_training(
    training: Training,
    history: TrainingHistory,
    execution: ExecutionConfig,
    folder: Path | None,
    *,
    resume: bool,
) -> None:
    """Train until the epochs are done, nothing improves or the monitor asks for a stop.

    Args:
        training: network, data and steps.
        history: receives the losses and the best weights.
        execution: logger, checkpoints and early stopping.
        folder: for logs and checkpoints; None writes neither.
        resume: whether to continue from the folder's last checkpoint.

    Raises:
        Cancelled: stopped before the first epoch was done.
        CheckpointError: there is no checkpoint to resume, or it does not fit.
        CollapseError: the network has collapsed to a state without useful gradients.
        DivergenceError: the loss was not finite before the first epoch was done.
    """
    first = load_checkpoint(folder, training, history) if resume else 0
    if folder is not None:
        prepare_folder(folder, resume=resume)
    log = build_logger(execution, folder)
    try:
        if not history.losses:
            training.begin(history)
        for epoch in range(first, history.config.epochs):
            training.run_epoch(history, epoch)
            training.schedule.end_epoch(history.losses[-1][1])
            log(history)
            if folder is not None and execution.enable_checkpointing:
                save_checkpoint(folder, training, history, execution.checkpoint_save_top_k)
            if history.gains_nothing(execution.early_stop_patience):
                break
    except (Cancelled, DivergenceError, OSError) as stop:
        # A full disk costs the rest of the training, not what it has learned.
        history.keep_best(stop)
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        if not history.losses:
            raise
        history.keep_best(out_of_memory(error))
    if not history.losses:
        raise Cancelled('the training ended before its first epoch was done')
