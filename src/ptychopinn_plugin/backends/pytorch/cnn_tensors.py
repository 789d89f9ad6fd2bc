"""The counts that the network's patches predict, in PyTorch."""

from __future__ import annotations

import numpy as np
import torch

from ptychopinn_plugin.backends.pytorch.cnn_network import PatchNetwork
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.predicted_counts import Optics, Placement, predicted_counts
from ptychopinn_plugin.scan.data import BoolArray


def expected_of(
    ops: TorchOps,
    network: PatchNetwork,
    patches: torch.Tensor,
    batch: GroupBatch,
    probe: torch.Tensor,
) -> torch.Tensor:
    """Return the counts that patches predict, float32 (n, N, N), zero frequency at index 0."""
    optics = Optics.from_config(ops, network.model, patches.shape[-1])
    corners, shares = batch.corners, batch.shares
    placement = Placement(
        ops.array(batch.shifts_px),
        None if corners is None else ops.array(corners),
        None if shares is None else ops.array(shares),
    )
    found = predicted_counts(ops, optics, patches, probe, placement, batch.canvas_shape)
    expected: torch.Tensor = found * network.factor()
    return expected


def good_pixels(ops: TorchOps, mask: BoolArray) -> torch.Tensor | None:
    """Return 1 for good pixels, float32 (N, N), zero frequency at index 0; None if all are."""
    good = np.fft.ifftshift(~mask)
    return None if good.all() else ops.array(good.astype(np.float32))
