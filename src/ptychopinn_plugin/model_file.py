"""The model file: one .safetensors file with a JSON manifest, the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import Backend, Config, ModelConfig, TrainingConfig


class Manifest(Config):
    """What a model file says of itself."""

    format_version: Literal[1] = 1
    package_version: str
    backend: Backend
    model: ModelConfig
    training: TrainingConfig
    frame_size: int
    pixel_size_m: tuple[float, float] | None = None
    photons_per_frame: tuple[float, ...] = ()
    probe_fingerprint: str = ''
    data_fingerprint: str = ''


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained network outside any framework.

    Attributes:
        weights: float32 arrays by parameter name.
        probe: complex64 (modes, N, N), of the first training scan.
        losses: float64 (epochs, 2), training and validation loss an epoch, positive.
        manifest: what the file says of itself.
    """

    weights: dict[str, npt.NDArray[np.float32]]
    probe: npt.NDArray[np.complex64]
    losses: npt.NDArray[np.float64]
    manifest: Manifest
