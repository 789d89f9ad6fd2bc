"""Validation of an epoch on held-out groups: its loss, and the indicators of a collapse."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.networks.cnn.collapse import (
    CollapseDetector,
    CollapseIndicators,
    frame_spread,
    patch_spread,
)
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.split import DatasetSplit

# Patches whose spread is computed; it hardly changes with more.
SPREAD_PATCHES = 64


@dataclass(eq=False)
class EpochValidation:
    """Sums over the validation batches of one epoch.

    Attributes:
        illumination: (N, N), sum over modes of |probe|^2 of the first scan.
        losses: of the batches.
        patches: of the first scan's first batches.
        group_patches: patches a group.
        peaks: greatest value of each channel behind a ReLU so far, (channels,).
        predicted_counts: sum at good pixels.
        measured_counts: sum at good pixels.
    """

    illumination: npt.NDArray[np.floating]
    losses: list[float] = field(default_factory=list)
    patches: list[npt.NDArray[np.complex64]] = field(default_factory=list)
    group_patches: int = 1
    peaks: npt.NDArray[np.float32] | None = None
    predicted_counts: float = 0.0
    measured_counts: float = 0.0

    @classmethod
    def for_split(cls, split: DatasetSplit) -> EpochValidation:
        """Return the empty validation of an epoch."""
        return cls(np.sum(np.abs(split.scans[0].scan.probe) ** 2, axis=0))

    def add(
        self,
        batch: GroupBatch,
        loss: float,
        patches: npt.NDArray[np.complex64],
        peaks: npt.NDArray[np.float32],
        predicted_counts: float | None,
    ) -> None:
        """Add a batch.

        Args:
            batch: the frames.
            loss: of the batch.
            patches: complex64 (n, N, N), of the network.
            peaks: float32 (channels,), the greatest value of each channel behind a ReLU.
            predicted_counts: sum at good pixels; None where the loss predicts no counts.
        """
        self.losses.append(loss)
        if batch.scan_index == 0 and _count(self.patches) < SPREAD_PATCHES:
            self.patches.append(patches)
            self.group_patches = len(patches) // len(batch.inputs)
        self.peaks = peaks if self.peaks is None else np.maximum(self.peaks, peaks)
        if predicted_counts is not None:
            self.predicted_counts += predicted_counts
            self.measured_counts += float(np.vdot(batch.amplitudes, batch.amplitudes))

    def loss(self) -> float:
        """Return the mean loss."""
        return float(np.mean(self.losses))

    def indicators(self) -> CollapseIndicators:
        """Return the indicators of a collapse."""
        measured = self.measured_counts
        return CollapseIndicators(
            spread=patch_spread(
                np.concatenate(self.patches), self.illumination, self.group_patches
            ),
            dead=float(np.mean(self.peaks <= 0)) if self.peaks is not None else 0.0,
            counts_ratio=self.predicted_counts / measured if measured else None,
        )


def build_detector(split: DatasetSplit) -> CollapseDetector:
    """Return the collapse detector of a training, with the spread of its validation frames."""
    frames: list[npt.NDArray[np.float32]] = []
    for batch in split.validation_batches():
        if batch.scan_index or _count(frames) >= SPREAD_PATCHES:
            break
        frames.append(batch.amplitudes**2)
    return CollapseDetector(frame_spread(np.concatenate(frames)), split.steps_per_epoch)


def _count(arrays: list[npt.NDArray[np.complex64]] | list[npt.NDArray[np.float32]]) -> int:
    return sum(len(array) for array in arrays)
