"""Setup of a training of the learned stage, the same for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule, unrolled_schedule
from ptychopinn_plugin.networks.model_manifest import build_manifest
from ptychopinn_plugin.networks.unrolled.episodes import TrainingScan
from ptychopinn_plugin.networks.unrolled.references import reconstruct_reference
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData


class UnrolledSetup(NamedTuple):
    """Training scans with their references, an empty history, and the learning rates."""

    scans: list[TrainingScan]
    history: TrainingHistory
    schedule: LearningRateSchedule


def prepare_training(
    ops: Ops,
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
) -> UnrolledSetup:
    """Reconstruct the references of a training and start its history.

    Raises:
        ScanDataError: the frames of a scan have another size than the network is for.
        Cancelled: the monitor asked for a stop.
    """
    prepared = [reconstruct_reference(ops, scan, training, monitor) for scan in scans]
    # With the probes that the references refined.
    used = [one.scan for one in prepared]
    history = TrainingHistory(
        monitor,
        build_manifest(execution, model, training, used, frame_size=model.frame_size),
        used[0].probe,
        metric=execution.checkpoint_monitor_metric,
    )
    steps = training.epochs * training.steps_per_epoch
    return UnrolledSetup(prepared, history, unrolled_schedule(execution, steps))
