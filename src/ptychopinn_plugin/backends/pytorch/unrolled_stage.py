"""A learned stage at work in PyTorch: network, trust, weights in and out."""

from __future__ import annotations

import numpy as np
import torch

from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_network import StageNetwork
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate
from ptychopinn_plugin.networks.unrolled.features import StageInput, compute_features, mean_log10_dose
from ptychopinn_plugin.networks.weights import Weights, joined, parted


class LearnedStage:
    """Changes an object as the network asks, as far as it is trusted at the scan's dose.

    Attributes:
        network: the network, on the device of `ops`.
        trust: by dose.
    """

    def __init__(self, ops: TorchOps, network: StageNetwork, trust: DoseGate) -> None:
        self.ops = ops
        self.network = network
        self.trust = trust

    def __call__(
        self, canvas_object: torch.Tensor, direction: torch.Tensor, dose: torch.Tensor
    ) -> torch.Tensor:
        """Return the changed object, complex64 (H, W).

        Args:
            canvas_object: complex64 (H, W).
            direction: complex64 (H, W), preconditioned gradient image.
            dose: float32 (H, W), photons an object pixel.
        """
        factor = self.trust.at(mean_log10_dose(self.ops, dose))
        if factor == 0:
            return canvas_object
        return self.updated(StageInput(canvas_object, direction, dose), factor=factor)

    def updated(self, before: StageInput, *, factor: float = 1.0, symmetry: int = 0) -> torch.Tensor:
        """Return the object after the network's update.

        Args:
            before: the object and what is known of it.
            factor: of the update.
            symmetry: 0 to 7, the symmetry of the square that the network sees the planes in.
        """
        with torch.no_grad():
            planes = compute_features(self.ops, before.canvas_object, before.direction, before.dose)
        inputs = turned(torch.stack(planes.inputs)[None], symmetry)
        outputs = undo_symmetry(self.network(inputs), symmetry)[0] * factor
        changed: torch.Tensor = planes.updated(
            self.ops, before.canvas_object, (outputs[0], outputs[1])
        )
        return changed

    def weights(self) -> Weights:
        """Return the network's weights and the trust as NumPy arrays."""
        return joined(network_weights(self.network), self.trust)

    @classmethod
    def from_weights(cls, ops: TorchOps, config: ModelConfig, weights: Weights) -> LearnedStage:
        """Build a stage from a model's weights, every name and shape checked.

        Raises:
            ModelMismatchError: names or shapes are not those of the config's network.
        """
        with torch.random.fork_rng():
            network = StageNetwork(config)
        needed = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        own, trust = parted(weights, needed)
        network.load_state_dict({name: torch.tensor(value) for name, value in own.items()})
        network.to(ops.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.eval()
        return cls(ops, network, trust)


def network_weights(network: torch.nn.Module) -> Weights:
    """Return copies of a network's weights as NumPy arrays."""
    return {
        name: np.array(value.detach().cpu().numpy(), np.float32, order='C')
        for name, value in network.state_dict().items()
    }


def turned(planes: torch.Tensor, symmetry: int) -> torch.Tensor:
    """Apply one of the 8 symmetries of the square to (b, planes, H, W)."""
    planes = torch.rot90(planes, symmetry % 4, (2, 3))
    return planes.flip(3) if symmetry >= 4 else planes


def undo_symmetry(planes: torch.Tensor, symmetry: int) -> torch.Tensor:
    """Undo `turned`."""
    planes = planes.flip(3) if symmetry >= 4 else planes
    return torch.rot90(planes, -(symmetry % 4), (2, 3))
