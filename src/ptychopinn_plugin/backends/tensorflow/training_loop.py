"""Runs a training in TensorFlow: epochs, checkpoints, early stopping, stop on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ptychopinn_plugin.backends.tensorflow.checkpoint import (
    Training,
    load_checkpoint,
    save_checkpoint,
)
from ptychopinn_plugin.backends.tensorflow.loggers import build_logger
from ptychopinn_plugin.backends.tensorflow.prefetch import prefetch
from ptychopinn_plugin.backends.tensorflow.unrolled_training import StageTraining
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.unrolled.episode_datasets import (
    TrainingEpisodes,
    ValidationEpisodes,
)
from ptychopinn_plugin.networks.unrolled.episodes import TrainingScan


def run_training(
    training: Training,
    record: TrainingHistory,
    run_epoch: Callable[[int], None],
    execution: ExecutionConfig,
    folder: Path | None,
    *,
    resume: bool,
) -> None:
    """Train until the epochs are done, nothing improves or the monitor asks for a stop.

    Args:
        training: what to train.
        record: is written.
        run_epoch: trains and judges one, given its number from 0, and tells the record.
        execution: logger, checkpoints and early stopping.
        folder: for logs and checkpoints; None keeps neither.
        resume: whether to go on from the folder's last checkpoint.

    Raises:
        Cancelled: stopped before there was anything to keep.
        CheckpointError: there is no checkpoint to resume, or it does not fit.
    """
    first = load_checkpoint(folder, training, record) if resume else 0
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    log = build_logger(execution, folder)
    try:
        for epoch in range(first, record.config.epochs):
            run_epoch(epoch)
            log(record)
            if folder is not None and execution.enable_checkpointing:
                save_checkpoint(folder, training, record, execution.checkpoint_save_top_k)
            if record.epochs_without_gain() >= execution.early_stop_patience:
                break
    except Cancelled:
        if record.weights is None:
            raise
    if record.weights is None:
        raise Cancelled('the training ended before its first epoch was done')


def run_stage_epoch(
    training: StageTraining, record: TrainingHistory, scans: Sequence[TrainingScan], epoch: int
) -> None:
    """Train on the episodes of an epoch, then let the held-out ones judge it."""
    losses = []
    episodes = TrainingEpisodes(scans, record.config, epoch)
    for index, episode in enumerate(prefetch(episodes, training.workers)):
        number = epoch * record.config.steps_per_epoch + index
        losses.append(training.train(episode, number))
        record.step(epoch, index, losses[-1])
    training.close_epoch()
    held_out = prefetch(ValidationEpisodes(scans, record.config), training.workers)
    cases = [training.validate(episode) for episode in held_out]
    training.schedule.end_epoch(record.epoch(epoch, losses, cases, training.network.weights))
