"""What held-out groups say of an epoch: its loss, and the signs of a collapse."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.networks.cnn.collapse import CollapseIndicators, CollapseDetector, frame_spread, patch_spread
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.split import DatasetSplit

# Patches whose spread is looked at; more would tell no more.
WATCHED_PATCHES = 64


@dataclass(eq=False)
class EpochValidation:
    """Gathers what the held-out batches of one epoch show.

    Attributes:
        illumination: (N, N), sum over modes of |probe|^2 of the first scan.
        losses: of the batches.
        patches: of the first scan's first batches.
        members: patches a group.
        peaks: greatest value of each channel behind a ReLU so far, (channels,).
        predicted: counts.
        measured: counts.
    """

    illumination: npt.NDArray[np.floating]
    losses: list[float] = field(default_factory=list)
    patches: list[npt.NDArray[np.complex64]] = field(default_factory=list)
    members: int = 1
    peaks: npt.NDArray[np.float32] | None = None
    predicted: float = 0.0
    measured: float = 0.0

    def add(
        self,
        batch: GroupBatch,
        loss: float,
        patches: npt.NDArray[np.complex64],
        peaks: npt.NDArray[np.float32],
        predicted: float | None,
    ) -> None:
        """Take a batch.

        Args:
            batch: what was seen.
            loss: of it.
            patches: complex64 (n, N, N), of the network.
            peaks: float32 (channels,), the greatest value of each channel behind a ReLU.
            predicted: counts on good pixels; None where none are predicted.
        """
        self.losses.append(loss)
        if batch.scan == 0 and self._watched() < WATCHED_PATCHES:
            self.patches.append(patches)
            self.members = len(patches) // len(batch.inputs)
        self.peaks = peaks if self.peaks is None else np.maximum(self.peaks, peaks)
        if predicted is not None:
            self.predicted += predicted
            self.measured += float(np.vdot(batch.amplitudes, batch.amplitudes))

    def loss(self) -> float:
        """Return the mean loss."""
        return float(np.mean(self.losses))

    def signs(self) -> CollapseIndicators:
        """Return the signs of a collapse."""
        return CollapseIndicators(
            spread=patch_spread(np.concatenate(self.patches), self.illumination, self.members),
            dead=float(np.mean(self.peaks <= 0)) if self.peaks is not None else 0.0,
            counts_ratio=self.predicted / self.measured if self.measured else None,
        )

    def _watched(self) -> int:
        return sum(len(patches) for patches in self.patches)


def judgement_of(sets: DatasetSplit) -> EpochValidation:
    """Return an empty judgement for an epoch."""
    return EpochValidation(np.sum(np.abs(sets.scans[0].scan.probe) ** 2, axis=0))


def build_detector(sets: DatasetSplit) -> CollapseDetector:
    """Return the watchdog of a training: it knows how far the watched patches' frames spread."""
    frames: list[npt.NDArray[np.float32]] = []
    for batch in sets.held_out():
        if batch.scan or sum(len(one) for one in frames) >= WATCHED_PATCHES:
            break
        frames.append(batch.amplitudes**2)
    return CollapseDetector(frame_spread(np.concatenate(frames)), sets.steps_per_epoch)
