"""Setup of a training of the learned stage, the same for every backend."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.io.model_file import TrainedModel, packaged_model
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.initial_model import initial_model_weights
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule, unrolled_schedule
from ptychopinn_plugin.networks.model_manifest import build_manifest
from ptychopinn_plugin.networks.reference import reconstruct_reference
from ptychopinn_plugin.networks.runner import stop_check
from ptychopinn_plugin.networks.unrolled.dose_gate import GATE_NAME
from ptychopinn_plugin.networks.unrolled.episode_pool import EpisodePool
from ptychopinn_plugin.networks.unrolled.episodes import TrainingScan
from ptychopinn_plugin.networks.weight_arrays import Weights
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData

logger = logging.getLogger(__name__)


class UnrolledSetup(NamedTuple):
    """What a training begins with.

    Attributes:
        episodes: of the scans with their references.
        history: still empty.
        schedule: the learning rates.
        weights: of the network that is trained further; None for random ones.
    """

    episodes: EpisodePool
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
) -> UnrolledSetup:
    """Reconstruct the references of a training and start its history.

    Raises:
        ModelMismatchError: the initial model does not fit the network.
        ScanDataError: the frames of a scan have another size than the network is for.
        Cancelled: the monitor asked for a stop.
    """
    given = initial_model_weights(initial, model, scans)
    references = [reconstruct_reference(ops, scan, training, monitor) for scan in scans]
    prepared = [
        TrainingScan.from_scan(*reference, training.validation_fraction) for reference in references
    ]
    # With the probes that the references refined.
    used = [one.scan for one in prepared]
    history = TrainingHistory(
        monitor,
        build_manifest(execution, model, training, used, frame_size=model.frame_size),
        used[0].probe,
        metric=execution.checkpoint_monitor_metric,
    )
    weights = _starting_weights(model, training) if given is None else _without_gate(given)
    steps = training.epochs * training.steps_per_epoch
    schedule = unrolled_schedule(execution, steps, pretrained=weights is not None)
    episodes = EpisodePool(prepared, training, stop_check(monitor))
    return UnrolledSetup(episodes, history, schedule, weights)


def _starting_weights(model: ModelConfig, training: TrainingConfig) -> Weights | None:
    """Return the weights of the package's network where the one that is trained has its shape."""
    if not training.pretrained:
        return None
    packaged = packaged_model()
    differing = [
        f'{name} {getattr(model, name)} instead of {getattr(packaged.manifest.model, name)}'
        for name in ('width', 'levels', 'blocks')
        if getattr(model, name) != getattr(packaged.manifest.model, name)
    ]
    if differing:
        logger.info(
            'The network starts from random weights, for its shape is not that of the '
            "package's (%s)",
            ', '.join(differing),
        )
        return None
    return _without_gate(packaged.weights)


def _without_gate(weights: Weights) -> Weights:
    return {name: value for name, value in weights.items() if name != GATE_NAME}
