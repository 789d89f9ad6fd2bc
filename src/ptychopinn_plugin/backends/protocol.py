"""The interface of every engine: NumPy arrays in and out, no tensors across it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import Reconstruction, ScanData


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
