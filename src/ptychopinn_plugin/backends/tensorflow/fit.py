"""Trainings of both architectures in TensorFlow, from scans to a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from ptychopinn_plugin.backends.tensorflow.cnn_training import PatchTraining
from ptychopinn_plugin.backends.tensorflow.cpu_ops import SolverOps
from ptychopinn_plugin.backends.tensorflow.training_loop import run_training
from ptychopinn_plugin.backends.tensorflow.unrolled_training import StageTraining
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn import setup as cnn_setup
from ptychopinn_plugin.networks.runner import stop_check
from ptychopinn_plugin.networks.unrolled import setup as unrolled_setup
from ptychopinn_plugin.scan import ScanData

logger = logging.getLogger(__name__)


def fit_unrolled(
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
    ops: SolverOps,
    folder: Path | None,
    *,
    resume: bool,
    initial: TrainedModel | None = None,
) -> TrainedModel:
    """Train the learned stage on scans; see `TensorFlowEngine.fit`."""
    prepared = unrolled_setup.prepare_training(
        ops, scans, model, training, execution, monitor, initial
    )
    trainer = StageTraining(
        prepared.episodes,
        model,
        execution,
        prepared.schedule,
        stop_check(monitor),
        ops.device,
        prepared.weights,
    )
    run_training(trainer, prepared.history, execution, folder, resume=resume)
    logger.debug('Traced by TensorFlow for the training: %s', trainer.traces())
    return prepared.history.best_model()


def fit_cnn(
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
    ops: SolverOps,
    folder: Path | None,
    *,
    resume: bool,
    initial: TrainedModel | None = None,
) -> TrainedModel:
    """Train the published network on scans; see `TensorFlowEngine.fit`.

    Raises:
        PatchError: groups cannot be filled.
        ScanDataError: the true object is needed and not known.
        CollapseError: the network has collapsed to a state without useful gradients.
    """
    prepared = cnn_setup.prepare_training(ops, scans, model, training, execution, monitor, initial)
    trainer = PatchTraining(
        prepared.split,
        model,
        training,
        execution,
        prepared.schedule,
        stop_check(monitor),
        ops.device,
        prepared.weights,
    )
    run_training(trainer, prepared.history, execution, folder, resume=resume)
    logger.debug('Traced by TensorFlow for the training: %s', trainer.traces())
    return prepared.history.best_model()


# One entry for each architecture of `ModelConfig`.
FITS: dict[str, Callable[..., TrainedModel]] = {'unrolled': fit_unrolled, 'cnn': fit_cnn}
