"""Setup of a training of the published network, the same for every backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.architecture import corrects
from ptychopinn_plugin.networks.cnn.back_projection import ObjectImage
from ptychopinn_plugin.networks.cnn.losses import LossWeights
from ptychopinn_plugin.networks.cnn.split import DatasetSplit
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.initial_model import initial_model_weights
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule, cnn_rate, cnn_schedule
from ptychopinn_plugin.networks.model_manifest import build_manifest
from ptychopinn_plugin.networks.reference import reconstruct_reference
from ptychopinn_plugin.networks.weight_arrays import Weights
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData


class CnnSetup(NamedTuple):
    """What a training begins with.

    Attributes:
        split: its groups.
        history: still empty.
        schedule: the learning rates.
        weights: of the network that is trained further; None for fresh ones.
    """

    split: DatasetSplit
    history: TrainingHistory
    schedule: LearningRateSchedule
    weights: Weights | None


def prepare_training(
    ops: Ops,
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
    initial: TrainedModel | None = None,
) -> CnnSetup:
    """Draw the groups of a training, reconstruct what it learns and start its history.

    Raises:
        Cancelled: the monitor asked for a stop.
        ConfigError: settings exclude each other.
        ModelMismatchError: the initial model does not fit the network or the scans.
        PatchError: groups cannot be filled.
        ScanDataError: the true object is needed and not known, or frames differ in size.
    """
    given = initial_model_weights(initial, model, scans)
    if corrects(model) and model.probe_trainable:
        raise ConfigError(
            [
                'network_input = back_projection takes the probe as it is given: take '
                'probe_trainable = false, and refine the probe before, by physics'
            ]
        )
    weights = LossWeights.from_config(model, training, 1.0)
    used, targets = list(scans), list[ObjectImage | None]()
    if weights.needs_reconstruction:
        used, targets = _reconstructed(ops, scans, training, monitor)
    split = DatasetSplit.from_scans(
        used, model, training, with_ground_truth=weights.needs_ground_truth, targets=targets
    )
    # The decoders have fixed sizes, so all scans need frames of one size.
    frame_size = model.frame_size or scans[0].frame_size
    history = TrainingHistory(
        monitor,
        build_manifest(execution, model, training, scans, frame_size=frame_size),
        used[0].probe,
        steps_per_epoch=split.steps_per_epoch,
        metric=execution.checkpoint_monitor_metric,
    )
    steps = split.steps_per_epoch * training.epochs
    schedule = cnn_schedule(execution, steps, rate=cnn_rate(model, training))
    return CnnSetup(split, history, schedule, given)


def _reconstructed(
    ops: Ops, scans: Sequence[ScanData], training: TrainingConfig, monitor: Monitor
) -> tuple[list[ScanData], list[ObjectImage | None]]:
    """Return scans with the probes that physics refined, and the objects that it reconstructed."""
    references = [reconstruct_reference(ops, scan, training, monitor) for scan in scans]
    return (
        [dataclasses.replace(one.scan, true_patches=None) for one in references],
        [ObjectImage(one.canvas_object, one.canvas.origin_px) for one in references],
    )
