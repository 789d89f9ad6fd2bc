"""A learned stage at work in PyTorch: network, trust, weights in and out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.engines.planes import CanvasPlanes, canvas_planes
from ptychopinn_plugin.engines.pytorch.network import StageNetwork
from ptychopinn_plugin.engines.pytorch.ops import TorchOps
from ptychopinn_plugin.engines.trust import Trust
from ptychopinn_plugin.errors import ModelMismatchError

TRUST_NAME = 'trust.factor'


class LearnedStage:
    """Changes an object as the network asks, as far as it is trusted at the scan's dose.

    Attributes:
        network: the network, on the device of `ops`.
        trust: by dose.
    """

    def __init__(self, ops: TorchOps, network: StageNetwork, trust: Trust) -> None:
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
        planes = canvas_planes(self.ops, canvas_object, direction, dose)
        factor = self.trust.at(mean_log10_dose(planes, dose))
        if factor == 0:
            return canvas_object
        return self.updated(planes, canvas_object, factor=factor)

    def updated(
        self,
        planes: CanvasPlanes,
        canvas_object: torch.Tensor,
        *,
        factor: float = 1.0,
        symmetry: int = 0,
    ) -> torch.Tensor:
        """Return the object after the network's update.

        Args:
            planes: of the object.
            canvas_object: complex64 (H, W).
            factor: of the update.
            symmetry: 0 to 7, the symmetry of the square that the network sees the planes in.
        """
        inputs = turned(torch.stack(planes.inputs)[None], symmetry)
        outputs = turned_back(self.network(inputs), symmetry)[0] * factor
        changed: torch.Tensor = planes.updated(self.ops, canvas_object, (outputs[0], outputs[1]))
        return changed

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the network's weights and the trust as NumPy arrays."""
        weights = {
            name: value.detach().cpu().contiguous().numpy().astype(np.float32)
            for name, value in self.network.state_dict().items()
        }
        return {**weights, TRUST_NAME: self.trust.factor}

    @classmethod
    def from_weights(
        cls, ops: TorchOps, config: ModelConfig, weights: dict[str, npt.NDArray[np.float32]]
    ) -> LearnedStage:
        """Build a stage from a model's weights, every name and shape checked.

        Raises:
            ModelMismatchError: names or shapes are not those of the config's network.
        """
        with torch.random.fork_rng():
            network = StageNetwork(config)
        needed = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        needed[TRUST_NAME] = Trust.full().factor.shape
        found = {name: value.shape for name, value in weights.items()}
        if needed != found:
            raise ModelMismatchError(_difference(needed, found))
        network.load_state_dict(
            {
                name: torch.from_numpy(np.array(value))
                for name, value in weights.items()
                if name != TRUST_NAME
            }
        )
        network.to(ops.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.eval()
        return cls(ops, network, Trust(weights[TRUST_NAME]))


def mean_log10_dose(planes: CanvasPlanes, dose: torch.Tensor) -> float:
    """Return log10 of the mean dose over the covered canvas, photons an object pixel."""
    mean = float((dose * planes.cover).sum() / planes.cover.sum())
    return math.log10(max(mean, 1e-6))


def turned(planes: torch.Tensor, symmetry: int) -> torch.Tensor:
    """Apply one of the 8 symmetries of the square to (b, planes, H, W)."""
    planes = torch.rot90(planes, symmetry % 4, (2, 3))
    return planes.flip(3) if symmetry >= 4 else planes


def turned_back(planes: torch.Tensor, symmetry: int) -> torch.Tensor:
    """Undo `turned`."""
    planes = planes.flip(3) if symmetry >= 4 else planes
    return torch.rot90(planes, -(symmetry % 4), (2, 3))


def _difference(needed: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> str:
    """Say how weights differ from those that a network needs."""
    faults = [f'{name} is missing' for name in sorted(needed.keys() - found.keys())]
    faults += [f'{name} is not known' for name in sorted(found.keys() - needed.keys())]
    faults += [
        f'{name} has shape {found[name]}, needed is {needed[name]}'
        for name in sorted(needed.keys() & found.keys())
        if needed[name] != found[name]
    ]
    return 'the weights do not fit the network that the manifest describes: ' + '; '.join(faults)
