"""The interface of every engine: NumPy arrays in and out, no tensors across it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import Reconstruction, ScanData


class Engine(Protocol):
    """A backend's engine; made by `engine_class(backend)(execution)`.

    `reconstruct` and `fit` block until they are done and call the monitor meanwhile.
    """

    backend: Backend

    def __init__(self, execution: ExecutionConfig) -> None:
        """Set device, threads and seeds from a config."""
        ...

    def configure(self, execution: ExecutionConfig) -> None:
        """Use another config of the same backend from the next call on."""
        ...

    def close(self) -> None:
        """End the processes that the engine started; a later call starts them again."""
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
            ModelMismatchError: the model does not fit the scan.
            Cancelled: the monitor requested a stop.
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
        initial: TrainedModel | None = None,
    ) -> TrainedModel:
        """Train a model on scans; a stopped training returns its best model so far.

        Args:
            scans: at least one.
            model: architecture of the network.
            training: epochs, learning rate, seeds.
            monitor: receives every step and, if it wants them, every better model.
            folder: for logs and checkpoints; None writes neither.
            resume: continue from the last checkpoint in the folder.
            initial: whose weights the training goes on from; None for fresh ones.

        Raises:
            Cancelled: stopped before the first epoch was done.
            CheckpointError: there is no checkpoint to resume, or it does not fit.
            ModelMismatchError: the initial model does not fit the network or the scans.
        """
        ...


@runtime_checkable
class EngineWithOps(Engine, Protocol):
    """An engine of this process, whose array operations a caller may use in a loop of its own."""

    def computing(self) -> AbstractContextManager[Ops]:
        """Give array operations that take any shape, with the config's device and threads set.

        Enter and leave it in the thread that computes.
        """
        ...
