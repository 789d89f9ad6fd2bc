"""Trainings of both architectures in PyTorch, from scans to a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ptychopinn_plugin.backends.pytorch.cnn_training import PatchTraining
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.training_loop import run_training
from ptychopinn_plugin.backends.pytorch.unrolled_training import StageTraining
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.setup import prepared
from ptychopinn_plugin.networks.history import TrainingHistory, build_manifest
from ptychopinn_plugin.networks.learning_rate import unrolled_schedule
from ptychopinn_plugin.networks.runner import stop_check
from ptychopinn_plugin.networks.unrolled.references import reconstruct_reference
from ptychopinn_plugin.scan import ScanData


def fit_cnn(
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
    device: torch.device,
    folder: Path | None,
    *,
    resume: bool,
) -> TrainedModel:
    """Train the published network on scans; see `PyTorchEngine.fit`."""
    sets, record, schedule = prepared(scans, model, training, execution, monitor)
    module = PatchTraining(sets, model, training, execution, schedule, stop_check(monitor))
    run_training(module, record, execution, device, folder, resume=resume)
    return record.trained()


def fit_unrolled(
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
    device: torch.device,
    folder: Path | None,
    *,
    resume: bool,
) -> TrainedModel:
    """Train the learned stage on scans; see `PyTorchEngine.fit`."""
    with torch.no_grad():
        ops = TorchOps(device)
        material = [reconstruct_reference(ops, scan, training, monitor) for scan in scans]
    used = [one.scan for one in material]
    manifest = build_manifest(execution, model, training, used)
    record = TrainingHistory(
        monitor, manifest, used[0].probe, metric=execution.checkpoint_monitor_metric
    )
    module = StageTraining(
        model,
        training,
        material,
        execution,
        unrolled_schedule(execution, training.epochs * training.steps_per_epoch),
        stop_check(monitor),
    )
    run_training(module, record, execution, device, folder, resume=resume)
    return record.trained()
