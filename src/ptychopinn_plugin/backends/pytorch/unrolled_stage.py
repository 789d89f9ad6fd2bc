"""A learned stage in PyTorch: features, network, gate."""

from __future__ import annotations

import torch

from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_network import StageNetwork
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate, split_gate
from ptychopinn_plugin.networks.unrolled.features import (
    StageInput,
    compute_features,
    mean_log10_dose,
)
from ptychopinn_plugin.networks.weight_arrays import Weights


class LearnedStage:
    """Updates an object by a network, times the gate's factor at the dose of the scan.

    Attributes:
        network: the network, on the device of `ops`.
        gate: by dose.
    """

    def __init__(self, ops: TorchOps, network: StageNetwork, gate: DoseGate) -> None:
        self.ops = ops
        self.network = network
        self.gate = gate

    def __call__(
        self, canvas_object: torch.Tensor, direction: torch.Tensor, dose: torch.Tensor
    ) -> torch.Tensor:
        """Return the updated object, complex64 (H, W).

        Args:
            canvas_object: complex64 (H, W).
            direction: complex64 (H, W), preconditioned gradient image.
            dose: float32 (H, W), photons an object pixel.
        """
        factor = self.gate.factor_at(mean_log10_dose(self.ops, dose))
        if factor == 0:
            return canvas_object
        return self.update_object(StageInput(canvas_object, direction, dose), factor=factor)

    def update_object(
        self, before: StageInput, *, factor: float = 1.0, symmetry: int = 0
    ) -> torch.Tensor:
        """Return the object after the network's update.

        Args:
            before: the object, its gradient image and its dose.
            factor: of the update.
            symmetry: 0 to 7, the symmetry of the square that is applied to the network's input.
        """
        with torch.no_grad():
            features = compute_features(
                self.ops, before.canvas_object, before.direction, before.dose
            )
        inputs = apply_symmetry(torch.stack(features.channels)[None], symmetry)
        with self.ops.network_threads():
            outputs = undo_symmetry(self.network(inputs), symmetry)[0] * factor
        updated: torch.Tensor = features.update_object(
            self.ops, before.canvas_object, (outputs[0], outputs[1])
        )
        return updated

    @classmethod
    def from_weights(cls, ops: TorchOps, config: ModelConfig, weights: Weights) -> LearnedStage:
        """Build a stage from the arrays of a model file.

        Raises:
            ModelMismatchError: names or shapes are not those of the config's network.
        """
        # The random initial weights are replaced; drawing them must not advance the user's stream.
        with torch.random.fork_rng():
            network = StageNetwork(config)
        expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        own, gate = split_gate(weights, expected)
        network.set_weights(own)
        network.to(ops.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.eval()
        return cls(ops, network, gate)


def apply_symmetry(images: torch.Tensor, symmetry: int) -> torch.Tensor:
    """Apply one of the 8 symmetries of the square to (b, channels, H, W)."""
    images = torch.rot90(images, symmetry % 4, (2, 3))
    return images.flip(3) if symmetry >= 4 else images


def undo_symmetry(images: torch.Tensor, symmetry: int) -> torch.Tensor:
    """Apply the inverse of `apply_symmetry`."""
    images = images.flip(3) if symmetry >= 4 else images
    return torch.rot90(images, -(symmetry % 4), (2, 3))
