"""An engine whose work is done by a worker process."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.engines.protocol import Monitor, Progress, Reconstruction
from ptychopinn_plugin.model_file import TrainedModel


class RemoteEngine:
    """An `Engine` whose work is done by a worker process; this process imports no framework.

    The worker is started by the first job and kept, with its framework and the last model loaded,
    until `close`, until this process ends in whatever way, or until it had nothing to do for
    `idle_seconds`; the next job starts another. One job at a time.

    Args:
        execution: backend, device, threads.
        idle_seconds: how long a worker waits for work before it leaves.
    """

    def __init__(self, execution: ExecutionConfig, *, idle_seconds: float = 600.0) -> None:
        self.execution = execution
        self.idle_seconds = idle_seconds

    @property
    def backend(self) -> Backend:
        """The framework that computes."""
        return self.execution.backend

    @property
    def best_model(self) -> TrainedModel | None:
        """The best model of the last `fit` so far, also after it failed; None without one."""
        raise NotImplementedError

    def configure(self, execution: ExecutionConfig) -> None:
        """Take another config for the next jobs; another backend ends the present worker."""
        raise NotImplementedError

    def warm_up(self) -> None:
        """Start the worker and let it import its framework; returns at once, raises nothing."""
        raise NotImplementedError

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        """Reconstruct a scan as `Engine.reconstruct` does.

        Raises:
            Cancelled: the monitor asked for a stop; within a second, whatever the worker does.
            WorkerDiedError: the worker was killed; noticed within a second.
            PtychoPINNError: whatever the engine raised, with its class and message.
        """
        raise NotImplementedError

    def reconstructing(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Generator[Progress | Reconstruction, None, Reconstruction]:
        """Do as `reconstruct`, step by step.

        Closing the generator stops the job within a second.

        Yields:
            Each step and each preview, after the monitor has heard of it.

        Returns:
            The reconstruction, as the value of `yield from`.
        """
        raise NotImplementedError

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
        """Train a model as `Engine.fit` does; a stopped training gives its best model so far.

        Raises:
            Cancelled: stopped before the first epoch was done.
            WorkerDiedError: the worker was killed; `best_model` is what it had reached.
            PtychoPINNError: whatever the engine raised, with its class and message.
        """
        raise NotImplementedError

    def fitting(
        self,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        monitor: Monitor,
        *,
        folder: Path | None = None,
        resume: bool = False,
    ) -> Generator[Progress, None, TrainedModel]:
        """Do as `fit`, step by step; closing the generator stops the training.

        Yields:
            Each step, after the monitor has heard of it.

        Returns:
            The model, as the value of `yield from`; after a close it is `best_model`.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End the worker, and with it a job that is under way; a later job starts another."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
