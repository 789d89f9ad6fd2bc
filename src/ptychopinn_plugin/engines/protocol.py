"""What every engine offers: NumPy in, NumPy out, no tensors across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.model_file import TrainedModel


@dataclass(frozen=True)
class Progress:
    """One step of a running job.

    Attributes:
        stage: 'train', 'network' or 'solver'.
        step: steps done, from 1.
        total: steps planned.
        loss: value of the step: the residual while reconstructing, the training loss else.
        validation_loss: loss on held-out frames, where it was taken at this step.
        seconds: since the job began.
    """

    stage: str
    step: int
    total: int
    loss: float
    validation_loss: float | None = None
    seconds: float = 0.0


class Monitor:
    """Watches a job: hears of each step and may ask it to stop.

    The default hears nothing and never stops.
    """

    def on_progress(self, progress: Progress) -> None:
        """Hear of one step; called from the thread that runs the job."""

    def should_stop(self) -> bool:
        """Say whether the job shall stop; asked several times a step."""
        return False

    def wants_preview(self) -> bool:
        """Say whether to hear of the reconstruction as it stands; asked after every step."""
        return False

    def on_preview(self, reconstruction: Reconstruction) -> None:
        """Hear of the reconstruction as it stands."""

    def wants_models(self) -> bool:
        """Say whether to hear of each better model of a training; asked after every epoch."""
        return False

    def on_better_model(self, model: TrainedModel) -> None:
        """Hear of the best model so far."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a reconstruction gives.

    Attributes:
        object_canvas: complex64 (H, W); NaN where no probe reached.
        origin_px: (row, column) coordinate of pixel (0, 0) of the canvas, object pixels, in the
            frame of `ScanData.positions_px`; (0, 0) unless positions lie outside the given canvas.
        probe: complex64 (modes, N, N), in the scale of `ScanData.probe`.
        coverage: float32 (H, W), summed |probe|^2 over frames, relative to its maximum.
        residual: float64 (steps,), sum (|Psi| - sqrt(counts))^2 / sum counts at each step.
        stages: name of what made each step, 'network' or 'solver'.
        backend: the framework that computed it.
        seconds: wall time of the reconstruction with set-up, without imports.
        model_name: fingerprint of the model used, '' without one.
        losses: the training history that the model carries, positive, () without a model.
    """

    object_canvas: npt.NDArray[np.complex64]
    origin_px: tuple[int, int]
    probe: npt.NDArray[np.complex64]
    coverage: npt.NDArray[np.float32]
    residual: npt.NDArray[np.float64]
    stages: tuple[str, ...]
    backend: Backend
    seconds: float
    model_name: str = ''
    losses: tuple[float, ...] = ()


class Engine(Protocol):
    """A backend's engine; made by `engine_class(backend)(execution)`."""

    backend: Backend

    def __init__(self, execution: ExecutionConfig) -> None:
        """Take the device, threads and seeds."""
        ...

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        """Reconstruct a scan with a trained model, or by physics alone without one.

        Raises:
            ModelMismatchError: the model cannot work on this scan.
            Cancelled: the monitor asked for a stop.
        """
        ...

    def fit(
        self,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        monitor: Monitor,
        *,
        folder: Path | None = None,
        resume: bool = False,
    ) -> TrainedModel:
        """Train a model on scans; a stopped training gives its best model so far.

        Logs and checkpoints go to `folder`; with `resume` a training goes on from the last one.
        """
        ...
