"""What differs from frame to frame beside the position: photons, and the probe's variation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.saved_state import Stateful
from ptychopinn_plugin.solver.parts.partition import Partition
from ptychopinn_plugin.solver.unknowns import Unknowns

# Of the mean flux: a frame without any photon has one too.
LEAST_FLUX = 1e-3

Floats = npt.NDArray[np.float32]


@dataclass(eq=False)
class FrameValues(Stateful):
    """Values of each frame of a scan.

    Attributes:
        frame_count: frames of the scan, n.
        flux_trust: float32 (n,), see `DeviceBatch`; None where all frames have the same flux.
        flux: float32 (n,), relative photons of each frame, where it is known; None otherwise.
        photon_ratios: float32 (n,), measured over predicted photons when last visited.
        basis: float32 (n, functions), of the probe's variation along the scan; None without.
    """

    saved_fields: ClassVar = ('flux_trust', 'photon_ratios', 'basis')

    frame_count: int
    flux_trust: Floats | None = None
    flux: Floats | None = None
    photon_ratios: Floats = field(init=False)
    basis: Floats | None = None

    def __post_init__(self) -> None:
        """Start at equal flux."""
        self.photon_ratios = np.ones(self.frame_count, np.float32)

    def take(self, other: FrameValues, frames: npt.NDArray[np.int64]) -> None:
        """Take flux and basis from those of another scan, whose frames (n,) these are."""

        def some(values: Floats | None) -> Floats | None:
            return None if values is None else values[frames]

        self.flux_trust, self.flux = some(other.flux_trust), some(other.flux)
        self.basis = some(other.basis)

    def share_ratios(self, partition: Partition) -> None:
        """Share the photon ratios of all frames among the processes."""
        frames = partition.frames
        if frames is None or self.flux_trust is None:
            return
        own = np.zeros(self.frame_count)
        own[frames] = self.photon_ratios[frames]
        self.photon_ratios = partition.total_values(own).astype(np.float32)

    def relative_flux(self) -> npt.NDArray[np.float64] | None:
        """Return the photons of each frame over their mean, (n,); None where all are alike."""
        flux = self.flux
        if flux is None and self.flux_trust is not None and self.flux_trust.any():
            flux = 1 + self.flux_trust * (self.photon_ratios - 1)
        if flux is None:
            return None
        positive = np.maximum(flux.astype(np.float64), LEAST_FLUX)
        return np.asarray(positive / positive.mean())

    def relative_powers(self, ops: Ops, unknowns: Unknowns) -> npt.NDArray[np.float64]:
        """Return the power of each frame's main mode relative to the mean one, float64 (n,)."""
        if self.basis is None or unknowns.variation is None:
            return np.ones(self.frame_count)
        parts = [ops.numpy(unknowns.probe)[:1], ops.numpy(unknowns.variation)]
        flat = np.concatenate(parts).reshape(1 + len(parts[1]), -1).astype(np.complex128)
        products = (flat.conj() @ flat.T).real
        weights = np.column_stack([np.ones(len(self.basis)), self.basis])
        return np.asarray(np.sum((weights @ products) * weights, axis=1) / products[0, 0])
