"""What a training of the published network begins with, the same for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.losses import LossWeights
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.history import TrainingHistory, build_manifest
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule, cnn_schedule
from ptychopinn_plugin.scan import ScanData


class Preparation(NamedTuple):
    """What is learned from, what is kept, and how steps are sized."""

    sets: DatasetSplit
    record: TrainingHistory
    schedule: LearningRateSchedule


def prepared(
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
) -> Preparation:
    """Draw the groups of a training and open its record.

    Raises:
        PatchError: groups cannot be filled.
        ScanDataError: an object is needed and not known.
    """
    needs_ground_truth = LossWeights.from_config(model, training, 1.0).needs_ground_truth
    sets = DatasetSplit.from_scans(scans, model, training, with_ground_truth=needs_ground_truth)
    record = TrainingHistory(
        monitor,
        build_manifest(execution, model, training, scans),
        scans[0].probe,
        steps_per_epoch=sets.steps_per_epoch,
        metric=execution.checkpoint_monitor_metric,
        trust=None,
    )
    steps = sets.steps_per_epoch * training.epochs
    supervised = model.model_type == 'supervised'
    return Preparation(sets, record, cnn_schedule(execution, steps, supervised=supervised))
