"""The network of the `cnn` architecture that corrects patches, in PyTorch.

A U-Net: Ronneberger, Fischer and Brox, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from ptychopinn_plugin.backends.pytorch.cnn_network import PatchNetwork, upsample
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.cnn.architecture import corrects
from ptychopinn_plugin.networks.weight_arrays import Weights


class CorrectionNetwork(PatchNetwork):
    """Maps patches that a step of physics gives to corrected ones."""

    def forward(
        self, inputs: torch.Tensor, peaks: list[torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Add the network's correction to patches, at their central half with `pad_object`.

        Args:
            inputs: float32 (n, 2, N, N), real and imaginary part, less those of an empty sample.
            peaks: receives the greatest value of each channel behind each ReLU, float32
                (channels,) each.

        Returns:
            complex64 (n, N, N).
        """
        margin = self.quarter if self.model.pad_object else 0
        inner = slice(margin, inputs.shape[-1] - margin)
        x = inputs[:, :, inner, inner].contiguous(memory_format=torch.channels_last)
        change = inputs + functional.pad(self._correction(x, peaks), (margin,) * 4)
        return torch.complex(1 + change[:, 0], change[:, 1])

    def _correction(self, x: torch.Tensor, peaks: list[torch.Tensor] | None) -> torch.Tensor:
        """Return real and imaginary part of the correction, float32 (n, 2, h, w)."""
        first, *coarser = self.encoder
        x = self.run_block(first, x, peaks)
        skipped: list[torch.Tensor] = []
        for block in coarser:
            skipped.append(x)
            x = self.run_block(block, functional.max_pool2d(x, 2), peaks)
        (decoder,) = self.decoder.values()
        blocks = dict(cast('nn.ModuleDict', decoder).items())
        head = blocks.pop('head')
        for block in blocks.values():
            x = self.run_block(block, torch.cat([upsample(x), skipped.pop()], 1), peaks)
        correction: torch.Tensor = head(x.float())
        return correction


def build_network(
    model: ModelConfig, frame_size: int, modes: int, weights: Weights
) -> PatchNetwork:
    """Return the network that a config describes, see `PatchNetwork`."""
    network = CorrectionNetwork if corrects(model) else PatchNetwork
    return network(model, frame_size, modes, weights)
