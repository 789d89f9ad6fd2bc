"""Setup of a training of the published network, the same for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.losses import LossWeights
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule, cnn_schedule
from ptychopinn_plugin.networks.model_manifest import build_manifest
from ptychopinn_plugin.scan import ScanData


class CnnSetup(NamedTuple):
    """The groups of a training, an empty history, and the learning rates."""

    split: DatasetSplit
    history: TrainingHistory
    schedule: LearningRateSchedule


def prepare_training(
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
) -> CnnSetup:
    """Draw the groups of a training and start its history.

    Raises:
        PatchError: groups cannot be filled.
        ScanDataError: the true object is needed and not known, or frames differ in size.
    """
    with_ground_truth = LossWeights.from_config(model, training, 1.0).needs_ground_truth
    split = DatasetSplit.from_scans(scans, model, training, with_ground_truth=with_ground_truth)
    # The decoders have fixed sizes, so all scans need frames of one size.
    frame_size = model.frame_size or scans[0].frame_size
    history = TrainingHistory(
        monitor,
        build_manifest(execution, model, training, scans, frame_size=frame_size),
        scans[0].probe,
        steps_per_epoch=split.steps_per_epoch,
        metric=execution.checkpoint_monitor_metric,
    )
    steps = split.steps_per_epoch * training.epochs
    supervised = model.model_type == 'supervised'
    return CnnSetup(split, history, cnn_schedule(execution, steps, supervised=supervised))
