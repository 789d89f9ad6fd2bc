"""Reconstruction with the `cnn` architecture in PyTorch."""

from __future__ import annotations

import torch

from ptychopinn_plugin.backends.pytorch.cnn_tensors import expected_of, good_pixels
from ptychopinn_plugin.backends.pytorch.cnn_network import PatchNetwork
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.inference import (
    Draw,
    Patches,
    reconstruct_with_network,
    with_model_probe,
)
from ptychopinn_plugin.physics.noise_models import amplitude_deviance
from ptychopinn_plugin.scan import Reconstruction, ScanData


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
