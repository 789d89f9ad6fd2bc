"""What a training keeps: its history, the best weights so far, and what the monitor hears."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

import ptychopinn_plugin
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.engines.protocol import Monitor, Progress
from ptychopinn_plugin.engines.trust import Trust
from ptychopinn_plugin.engines.weights import Weights, joined
from ptychopinn_plugin.model_file import (
    Manifest,
    TrainedModel,
    data_fingerprint,
    probe_fingerprint,
    weights_fingerprint,
)

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
        weights: of the best epoch so far, None before the first.
        trust: measured at that epoch.
        best: its validation loss.
        losses: (training, validation) of every epoch.
    """

    monitor: Monitor
    manifest: Manifest
    probe: npt.NDArray[np.complex64]
    weights: Weights | None = None
    trust: Trust = field(default_factory=Trust.full)
    best: float = math.inf
    losses: list[tuple[float, float]] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    @property
    def config(self) -> TrainingConfig:
        """The training's config."""
        return self.manifest.training

    def step(self, epoch: int, episode: int, loss: float) -> None:
        """Tell of an episode, both numbers from 0."""
        self._tell(epoch * self.config.steps_per_epoch + episode + 1, loss, None)

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
        loss = float(np.mean(losses)) if losses else math.nan
        self.losses.append((max(loss, LEAST_LOSS), max(validation, LEAST_LOSS)))
        better = validation < self.best
        if better:
            self.best = validation
            self.trust = Trust.measured(np.asarray(doses), np.asarray(ratios))
            self.weights = weights()
        self._tell((epoch + 1) * self.config.steps_per_epoch, *self.losses[-1])
        if better and self.monitor.wants_models():
            self.monitor.on_better_model(self.trained())
        return validation

    def epochs_without_gain(self) -> int:
        """Return how many epochs have passed since the best one."""
        validations = [validation for _, validation in self.losses]
        best = min(range(len(validations)), key=validations.__getitem__)
        return len(validations) - 1 - best

    def history(self) -> npt.NDArray[np.float64]:
        """Return the losses, float64 (epochs, 2)."""
        return np.asarray(self.losses, np.float64).reshape(-1, 2)

    def trained(self) -> TrainedModel:
        """Return the best epoch's model."""
        weights = joined(self.weights or {}, self.trust)
        model = TrainedModel(weights, self.probe, self.history(), self.manifest)
        fingerprint = weights_fingerprint(model)
        manifest = self.manifest.model_copy(update={'weights_fingerprint': fingerprint})
        return dataclasses.replace(model, manifest=manifest)

    def _tell(self, step: int, loss: float, validation: float | None) -> None:
        total = self.config.steps_per_epoch * self.config.epochs
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
    """
    return Manifest(
        package_version=ptychopinn_plugin.__version__,
        backend=execution.backend,
        model=model,
        training=training,
        execution=execution,
        frame_size=scans[0].frame_size,
        pixel_size_m=scans[0].metadata.pixel_size_m,
        photons_per_frame=tuple(
            float(scan.counts.sum(dtype=np.float64)) / scan.frame_count for scan in scans
        ),
        probe_fingerprint=probe_fingerprint(scans[0].probe),
        data_fingerprint=data_fingerprint(scans),
    )
