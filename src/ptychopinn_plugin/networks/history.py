"""What a training keeps: its history, the best weights so far, and what the monitor hears."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

import ptychopinn_plugin
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.model_file import (
    Manifest,
    TrainedModel,
    data_fingerprint,
    probe_fingerprint,
    weights_fingerprint,
)
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.unrolled.dose_gate import Trust
from ptychopinn_plugin.networks.weights import Weights, joined
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.photons import mean_photons

LEAST_LOSS = 1e-6
# Of a held-out episode: log10 of its dose, and what the update times each factor left.
Case: TypeAlias = tuple[float, list[float]]


@dataclass(eq=False)
class TrainingRecord:
    """The record of one training.

    Attributes:
        monitor: hears of every step and, if it likes, of each better model.
        manifest: what the model says of itself, but for its weights.
        probe: complex64 (modes, N, N), of the first scan.
        steps_per_epoch: 0 for those of the config.
        metric: the loss that says which epoch is the best.
        weights: of the best epoch so far, None before the first.
        trust: measured at that epoch; None for a network that has none.
        best: its loss.
        losses: (training, validation) of every epoch.
    """

    monitor: Monitor
    manifest: Manifest
    probe: npt.NDArray[np.complex64]
    steps_per_epoch: int = 0
    metric: Literal['val_loss', 'train_loss'] = 'val_loss'
    weights: Weights | None = None
    trust: Trust | None = field(default_factory=Trust.full)
    best: float = math.inf
    losses: list[tuple[float, float]] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    @property
    def config(self) -> TrainingConfig:
        """The training's config."""
        return self.manifest.training

    def __post_init__(self) -> None:
        """Take the config's steps where none are given."""
        self.steps_per_epoch = self.steps_per_epoch or self.config.steps_per_epoch

    def step(self, epoch: int, episode: int, loss: float) -> None:
        """Tell of an episode or a batch, all numbers from 0."""
        self._tell(epoch * self.steps_per_epoch + episode + 1, loss, None)

    def epoch(
        self,
        epoch: int,
        losses: Sequence[float],
        cases: Sequence[Case],
        weights: Callable[[], Weights],
    ) -> float:
        """Keep the weights where held-out frames say that they are the best so far.

        Args:
            epoch: its number from 0.
            losses: of its episodes.
            cases: of its validation.
            weights: returns copies of the network's weights.

        Returns:
            The validation loss.
        """
        doses, ratios = zip(*cases, strict=True)
        validation = float(np.mean([left[-1] for left in ratios]))
        trust = Trust.measured(np.asarray(doses), np.asarray(ratios))
        self.judged(epoch, losses, validation, weights, trust)
        return validation

    def judged(
        self,
        epoch: int,
        losses: Sequence[float],
        validation: float,
        weights: Callable[[], Weights],
        trust: Trust | None = None,
    ) -> None:
        """Keep the weights of a network where its loss is the least so far.

        Args:
            epoch: its number from 0.
            losses: of its batches.
            validation: its loss on held-out frames.
            weights: returns copies of the network's weights.
            trust: measured at this epoch, None for a network that has none.
        """
        loss = float(np.mean(losses)) if losses else math.nan
        self.losses.append((max(loss, LEAST_LOSS), max(validation, LEAST_LOSS)))
        judge = validation if self.metric == 'val_loss' else loss
        better = judge < self.best
        if better:
            self.best, self.trust, self.weights = judge, trust, weights()
        self._tell((epoch + 1) * self.steps_per_epoch, *self.losses[-1])
        if better and self.monitor.wants_models():
            self.monitor.on_better_model(self.trained())

    def epochs_without_gain(self) -> int:
        """Return how many epochs have passed since the best one."""
        return len(self.losses) - 1 - self.best_epochs()[0]

    def best_epochs(self) -> list[int]:
        """Return the numbers of all epochs, the best one first."""
        column = int(self.metric == 'val_loss')
        return sorted(range(len(self.losses)), key=lambda epoch: self.losses[epoch][column])

    def history(self) -> npt.NDArray[np.float64]:
        """Return the losses, float64 (epochs, 2)."""
        return np.asarray(self.losses, np.float64).reshape(-1, 2)

    def trained(self) -> TrainedModel:
        """Return the best epoch's model."""
        weights = self.weights or {}
        weights = weights if self.trust is None else joined(weights, self.trust)
        model = TrainedModel(weights, self.probe, self.history(), self.manifest)
        fingerprint = weights_fingerprint(model)
        manifest = self.manifest.model_copy(update={'weights_fingerprint': fingerprint})
        return dataclasses.replace(model, manifest=manifest)

    def _tell(self, step: int, loss: float, validation: float | None) -> None:
        total = self.steps_per_epoch * self.config.epochs
        seconds = time.perf_counter() - self.began
        loss = max(loss, LEAST_LOSS)
        self.monitor.on_progress(Progress('train', step, total, loss, validation, seconds))


def manifest_of(
    execution: ExecutionConfig,
    model: ModelConfig,
    training: TrainingConfig,
    scans: Sequence[ScanData],
) -> Manifest:
    """Return what a model says of itself, but for its weights.

    Args:
        execution: who trains it, and where.
        model: the network's shape.
        training: how.
        scans: on what, with the probes that were used.

    Raises:
        ScanDataError: the frames of a scan have another size than the network is for.
    """
    _check_frame_sizes(model, scans)
    return Manifest(
        package_version=ptychopinn_plugin.__version__,
        backend=execution.backend,
        model=model,
        training=training,
        execution=execution,
        frame_size=scans[0].frame_size,
        pixel_size_m=scans[0].metadata.pixel_size_m,
        photons_per_frame=tuple(mean_photons(scan) for scan in scans),
        probe_fingerprint=probe_fingerprint(scans[0].probe),
        data_fingerprint=data_fingerprint(scans),
    )


def _check_frame_sizes(model: ModelConfig, scans: Sequence[ScanData]) -> None:
    one_size = model.frame_size or (scans[0].frame_size if model.architecture == 'cnn' else 0)
    faults = [
        f'the network is for frames of {one_size} x {one_size} pixels, those of '
        f'{scan.source or "a scan"} have {scan.frame_size} a side; cut or bin them'
        for scan in scans
        if one_size and scan.frame_size != one_size
    ]
    if faults:
        raise ScanDataError(faults)
