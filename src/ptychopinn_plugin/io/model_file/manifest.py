"""A trained model as NumPy arrays, and the manifest of its file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ptychopinn_plugin.config import Backend, Config, ExecutionConfig, ModelConfig, TrainingConfig

# 2: the manifest records the execution config.
FORMAT_VERSION = 2
# Written into every file: a model that was trained on another scale is refused.
SCALE_CONTRACT = (
    'counts in photons; sum |probe|^2 over modes and pixels is the photons a frame through empty '
    'space; unitary FFT, zero frequency at N//2; object near 1 where the sample is empty'
)

# Of PEP 440, without epochs; local versions are those of builds from a checkout.
_VERSION = re.compile(
    r'[0-9]{1,9}(\.[0-9]{1,9}){0,3}((a|b|rc|\.dev|\.post)[0-9]{1,9}){0,3}(\+[a-z0-9.]{1,40})?'
)


class Manifest(Config):
    """The metadata of a model file.

    The fingerprints are SHA-256 in hexadecimal; '' where they were not taken.
    """

    format_version: Literal[2] = 2
    package_version: str
    backend: Backend
    model: ModelConfig
    training: TrainingConfig
    execution: ExecutionConfig | None = None
    frame_size: int = Field(ge=1)
    pixel_size_m: tuple[float, float] | None = None
    photons_per_frame: tuple[float, ...] = ()
    scale_contract: str = SCALE_CONTRACT
    probe_fingerprint: str = ''
    data_fingerprint: str = ''
    weights_fingerprint: str = ''


@dataclass(frozen=True, eq=False)
class TrainingExample:
    """A crop that was held out of a training, at few photons.

    Attributes:
        before: complex64 (H, W), its object by physics alone.
        after: complex64 (H, W), the object after the network's full update.
        reference: complex64 (H, W), the object from all photons.
        dose: float32 (H, W), photons an object pixel.
    """

    before: npt.NDArray[np.complex64]
    after: npt.NDArray[np.complex64]
    reference: npt.NDArray[np.complex64]
    dose: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained network outside any framework.

    Attributes:
        weights: float32 arrays by parameter name.
        probe: complex64 (modes, N, N), of the first training scan.
        losses: float64 (epochs, 2), training and validation loss an epoch; NaN where a loss was
            not taken. That of `unrolled` is below 0 where objects fit held-out frames better than
            the reference that they are compared with.
        manifest: the metadata of its file.
        example: what the network does to an object; None where it is not known. Files do not hold
            it.
    """

    weights: dict[str, npt.NDArray[np.float32]]
    probe: npt.NDArray[np.complex64]
    losses: npt.NDArray[np.float64]
    manifest: Manifest
    example: TrainingExample | None = None


def is_version(text: object) -> bool:
    """Return whether a manifest's `package_version` is a version; a file may hold any text."""
    return isinstance(text, str) and _VERSION.fullmatch(text) is not None


def writer_name(version: object) -> str:
    """Return which package wrote a file, for messages."""
    known = f' {version}' if is_version(version) else ' of an unknown version'
    return f'ptychopinn-plugin{known}'
