"""The learned stage of the `unrolled` architecture, in PyTorch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ptychopinn_plugin.backends.pytorch.weights import export_weights, import_weights
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.unrolled.features import INPUT_CHANNELS, OUTPUT_CHANNELS
from ptychopinn_plugin.networks.weight_arrays import Weights

# The finest level works on 2 x 2 blocks of pixels: a quarter of the cost, twice the reach.
BLOCK = 2


class Residual(nn.Module):
    """x + conv(silu(x)), 3 x 3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (b, channels, h, w) to the same shape."""
        change: torch.Tensor = self.conv(functional.silu(x))
        return x + change


class Level(nn.Module):
    """One resolution of the pyramid: residual blocks around the coarser levels."""

    def __init__(self, channels: list[int], blocks: int) -> None:
        super().__init__()
        here, coarser = channels[0], channels[1:]
        self.before = nn.Sequential(*(Residual(here) for _ in range(blocks)))
        self.after = nn.Sequential(*(Residual(here) for _ in range(blocks if coarser else 0)))
        if coarser:
            self.down = nn.Conv2d(here, coarser[0], 2, stride=2)
            self.inner = Level(coarser, blocks)
            self.up = nn.ConvTranspose2d(coarser[0], here, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (b, channels, h, w) to the same shape."""
        x = self.before(x)
        if hasattr(self, 'inner'):
            coarse = self.inner(self.down(functional.silu(x)))
            x = x + self.up(functional.silu(coarse))
        after: torch.Tensor = self.after(x)
        return after


class StageNetwork(nn.Module):
    """Maps the features of a canvas to an update of its object.

    A pyramid of convolutions that starts on blocks of 2 x 2 pixels. The last layer starts at zero,
    so an untrained network changes nothing.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build the network with random weights."""
        super().__init__()
        channels = [config.width * min(2**level, 2) for level in range(config.levels)]
        self.multiple = BLOCK * 2 ** (config.levels - 1)
        self.inlet = nn.Conv2d(INPUT_CHANNELS * BLOCK**2, channels[0], 3, padding=1)
        self.pyramid = Level(channels, config.blocks)
        self.outlet = nn.Conv2d(channels[0], OUTPUT_CHANNELS * BLOCK**2, 3, padding=1)
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)  # type: ignore[arg-type]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (b, INPUT_CHANNELS, H, W) to (b, OUTPUT_CHANNELS, H, W), any H and W."""
        height, width = features.shape[-2:]
        # Each level halves both sides: padded to a multiple, and cut off again at the end.
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        x = functional.pixel_unshuffle(functional.pad(features, padding), BLOCK)
        x = self.outlet(functional.silu(self.pyramid(self.inlet(x))))
        return functional.pixel_shuffle(x, BLOCK)[..., :height, :width]

    def weights(self) -> Weights:
        """Return copies of the weights as NumPy arrays, named and ordered as in a model file."""
        return export_weights(self)

    def set_weights(self, weights: Weights) -> None:
        """Set the weights, named and ordered as in a model file."""
        import_weights(self, weights)
