"""The network of the `cnn` architecture, in PyTorch.

PtychoPINN as published: Hoidn, Mishra and Mehta, Sci. Rep. 13, 22789, 2023,
doi:10.1038/s41598-023-48351-7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from ptychopinn_plugin.backends.pytorch.weights import export_weights, import_weights
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.config.execution import Precision
from ptychopinn_plugin.networks.cnn.architecture import (
    BORDER_CHANNELS,
    INTENSITY,
    PROBE_IMAG,
    PROBE_REAL,
    decoder_filters,
    decoder_names,
    encoder_filters,
    has_border,
    weight_shapes,
)
from ptychopinn_plugin.networks.weight_arrays import Shapes, Weights, check_weights

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    'sigmoid': torch.sigmoid,
    'swish': functional.silu,
    'softplus': functional.softplus,
    'relu': functional.relu,
}


class PatchNetwork(nn.Module):
    """Maps the diffraction amplitudes of groups to patches of the object.

    Its parameters have the names and shapes of `weight_shapes`.

    Attributes:
        precision: of the convolutions but the last ones, whose rounding would be the object's.
    """

    precision: Precision = 'float32'

    def __init__(self, model: ModelConfig, frame_size: int, modes: int, weights: Weights) -> None:
        """Build the network.

        Args:
            model: the architecture.
            frame_size: side N of a frame.
            modes: of the probe.
            weights: the initial ones.

        Raises:
            ModelMismatchError: names or shapes of the weights are not those of this network.
        """
        super().__init__()
        self.model = model
        self.shapes = weight_shapes(model, frame_size, modes)
        self.quarter = frame_size // 4
        self.encoder = nn.ModuleList(
            _block(self.shapes, f'encoder.{k}')
            for k in range(len(encoder_filters(model, frame_size)))
        )
        blocks = len(decoder_filters(model, frame_size))
        self.decoder = nn.ModuleDict(
            {
                name.split('.')[1]: _decoder(self.shapes, name, blocks, model)
                for name in decoder_names(model)
            }
        )
        self.intensity = _values(self.shapes, INTENSITY)
        self.probe = _values(self.shapes, PROBE_REAL, PROBE_IMAG)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.set_weights(weights)

    def forward(
        self, inputs: torch.Tensor, peaks: list[torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Map normalised amplitudes to patches of the object.

        Args:
            inputs: float32 (b, C, N, N), zero frequency at N//2.
            peaks: receives the greatest value of each channel behind each ReLU, float32
                (channels,) each.

        Returns:
            complex64 (b * C, N, N), or (b, N, N) where a group gives one patch only.
        """
        x = inputs.contiguous(memory_format=torch.channels_last)
        for block in self.encoder:
            x = functional.max_pool2d(self.run_block(block, x, peaks), 2)
        patches = self._complex_patches(x, peaks)
        return patches.contiguous().flatten(0, 1)

    def current_probe(self, given: torch.Tensor) -> torch.Tensor:
        """Return the trained probe, or the given one, complex64 (modes, N, N)."""
        if not self.probe:
            return given
        return torch.complex(self.probe['real'], self.probe['imag'])

    def count_factor(self) -> torch.Tensor | float:
        """Return the trained factor of the predicted counts, 1 where it is not trained."""
        return self.intensity['log'].exp() if self.intensity else 1.0

    def weights(self) -> Weights:
        """Return copies of the weights as NumPy arrays, named and ordered as in a model file."""
        return export_weights(self)

    def set_weights(self, weights: Weights) -> None:
        """Set the weights, named and ordered as in a model file.

        Raises:
            ModelMismatchError: names or shapes are not those of this network.
        """
        import_weights(self, check_weights(weights, self.shapes))

    def _complex_patches(self, x: torch.Tensor, peaks: list[torch.Tensor] | None) -> torch.Tensor:
        """Run both decoders; return complex64 (b, C or 1, N, N)."""
        # The unit of the amplitude, no factor of the probe: a sigmoid with unit 2 begins at 1, an
        # empty sample.
        scale = self.model.probe_scale
        if self.model.output_form == 'real_imag':
            real, imag = (self._decode(part, x, peaks, nn.Identity()) for part in self.decoder)
            return torch.complex(real * scale, imag * scale)
        activation = ACTIVATIONS[self.model.amp_activation]
        amplitude = self._decode('amplitude', x, peaks, activation) * scale
        # Phases in (-pi, pi), as published.
        phase = self._decode('phase', x, peaks, torch.tanh) * math.pi
        return torch.complex(amplitude * phase.cos(), amplitude * phase.sin())

    def _decode(
        self,
        part: str,
        x: torch.Tensor,
        peaks: list[torch.Tensor] | None,
        activation: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Run a decoder; return (b, C or 1, N, N), 0 at an empty border."""
        blocks = dict(cast('nn.ModuleDict', self.decoder[part]).items())
        head, border = blocks.pop('head'), blocks.pop('border', None)
        # Convolutions first, so that the coarsest ones see the whole frame; the side doubles
        # afterwards.
        for block in blocks.values():
            x = upsample(self.run_block(block, x, peaks))
        x = x.float()
        if not self.model.pad_object:
            return activation(head(x))
        q = self.quarter
        # As published: without coarse channels the border stays 0 and is left out of the
        # stitching.
        if border is None:
            return functional.pad(activation(head(x)), (q, q, q, q))
        whole = border(upsample(x[:, -BORDER_CHANNELS:]))
        inner = slice(q, whole.shape[-1] - q)
        whole[:, :, inner, inner] = head(x[:, :-BORDER_CHANNELS])
        return activation(whole)

    def run_block(
        self, block: nn.Module, x: torch.Tensor, peaks: list[torch.Tensor] | None
    ) -> torch.Tensor:
        """Run two convolutions; append the peaks of their channels if a list is given."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == 'bfloat16'):
            for conv in cast('nn.ModuleList', block):
                x = functional.relu(conv(x), inplace=True)
                if peaks is not None:
                    # A channel that stays at 0 is dead, which indicates a collapse.
                    peaks.append(x.amax((0, 2, 3)).float())
        return x


def _conv(shapes: Shapes, name: str) -> nn.Conv2d:
    """Return a convolution with random weights."""
    after, before, size, _ = shapes[f'{name}.weight']
    return nn.Conv2d(before, after, size, padding=size // 2)


def _values(shapes: Shapes, *names: str) -> nn.ParameterDict:
    """Return the parameters of these names that the network has."""
    return nn.ParameterDict(
        {
            name.split('.')[1]: nn.Parameter(torch.zeros(shapes[name]))
            for name in names
            if name in shapes
        }
    )


def _block(shapes: Shapes, name: str) -> nn.ModuleList:
    """Return two convolutions."""
    return nn.ModuleList(_conv(shapes, f'{name}.{index}') for index in (0, 1))


def _decoder(shapes: Shapes, name: str, blocks: int, model: ModelConfig) -> nn.ModuleDict:
    """Return a decoder: its blocks in their order, then the last convolutions."""
    parts = {str(k): _block(shapes, f'{name}.{k}') for k in range(blocks)}
    ends = ('head', 'border') if has_border(model) else ('head',)
    return nn.ModuleDict({**parts, **{end: _conv(shapes, f'{name}.{end}') for end in ends}})


def upsample(x: torch.Tensor) -> torch.Tensor:
    """Repeat every pixel of (b, c, h, w) in both directions."""
    return functional.interpolate(x, scale_factor=2, mode='nearest')
