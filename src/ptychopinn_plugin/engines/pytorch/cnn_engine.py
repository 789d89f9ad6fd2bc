"""Training and reconstruction of the `cnn` architecture in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.engines.cnn.assembling import (
    Draw,
    Patches,
    reconstruct_with_network,
    with_model_probe,
)
from ptychopinn_plugin.engines.cnn.losses import LossWeights
from ptychopinn_plugin.engines.cnn.material import GroupBatch
from ptychopinn_plugin.engines.cnn.sets import GroupSets
from ptychopinn_plugin.engines.protocol import Monitor, Reconstruction
from ptychopinn_plugin.engines.pytorch.cnn_network import PatchNetwork
from ptychopinn_plugin.engines.pytorch.cnn_training import (
    PatchTraining,
    expected_of,
    good_pixels,
)
from ptychopinn_plugin.engines.pytorch.fitting import run_training
from ptychopinn_plugin.engines.pytorch.ops import TorchOps
from ptychopinn_plugin.engines.record import TrainingRecord, manifest_of
from ptychopinn_plugin.engines.runner import stop_check
from ptychopinn_plugin.engines.schedule import cnn_schedule
from ptychopinn_plugin.model_file import TrainedModel
from ptychopinn_plugin.physics.likelihood import amplitude_deviance


def fit_patches(
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
    needs_truth = LossWeights.of(model, training, 1.0).needs_truth
    sets = GroupSets.of(scans, model, training, with_truth=needs_truth)
    record = TrainingRecord(
        monitor,
        manifest_of(execution, model, training, scans),
        scans[0].probe,
        steps_per_epoch=sets.steps_per_epoch,
        metric=execution.checkpoint_monitor_metric,
        trust=None,
    )
    steps = sets.steps_per_epoch * training.epochs
    module = PatchTraining(
        sets, model, training, execution, cnn_schedule(execution, steps), stop_check(monitor)
    )
    run_training(module, record, execution, device, folder, resume=resume)
    return record.trained()


def reconstruct_patches(
    scan: ScanData,
    inference: InferenceConfig,
    model: TrainedModel,
    execution: ExecutionConfig,
    monitor: Monitor,
    device: torch.device,
) -> Reconstruction:
    """Reconstruct a scan with the published network; see `PyTorchEngine.reconstruct`."""
    ops, scan = TorchOps(device), with_model_probe(scan, model)
    network = PatchNetwork(model.manifest.model, scan.frame_size, scan.mode_count)
    network.take(model.weights)
    network.to(device).eval()
    return reconstruct_with_network(
        ops,
        scan,
        inference,
        monitor,
        drawing(ops, network, scan),
        backend='pytorch',
        model=model,
        batch_size=execution.inference_batch_size,
    )


def drawing(ops: TorchOps, network: PatchNetwork, scan: ScanData) -> Draw:
    """Return what draws the patches of a scan and says how well they fit."""
    good, probe = good_pixels(ops, scan.mask), ops.array(scan.probe)

    def draw(batch: GroupBatch) -> tuple[Patches, float]:
        patches = network(ops.array(batch.inputs))
        expected = expected_of(ops, network, patches, batch, probe)
        misfit = amplitude_deviance(ops, expected, ops.array(batch.amplitudes), good)
        return ops.numpy(patches), ops.number(misfit)

    return draw
