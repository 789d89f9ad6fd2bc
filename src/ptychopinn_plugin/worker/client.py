"""An engine that computes in a worker process."""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
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
from ptychopinn_plugin.config.backend_names import backend_display_name
from ptychopinn_plugin.errors import Cancelled, WorkerDiedError, WorkerError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import BestModelMonitor, Monitor
from ptychopinn_plugin.networks.checkpointing import CheckpointMonitor
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.worker.codec import unpack_model, unpack_reconstruction
from ptychopinn_plugin.worker.messages import Message
from ptychopinn_plugin.worker.process import WorkerProcess
from ptychopinn_plugin.worker.remote_job import RemoteJob
from ptychopinn_plugin.worker.requests import (
    RECONSTRUCT,
    fit_request,
    reconstruct_request,
    warm_up_request,
)

logger = logging.getLogger(__name__)


class RemoteEngine:
    """An `Engine` that computes in a worker process; this process imports no framework.

    The first job starts the worker. The worker stays, with its framework and the last model loaded,
    until `close`, until this process ends in whatever way, or until it had no job for
    `idle_seconds`; the next job starts another. One job at a time.

    Args:
        execution: backend, device, threads.
        idle_seconds: how long a worker waits for a job before it ends.
        worker_options: further options of `python -m ptychopinn_plugin.worker`.
    """

    def __init__(
        self,
        execution: ExecutionConfig,
        *,
        idle_seconds: float = 600.0,
        worker_options: Sequence[str] = (),
    ) -> None:
        self.execution = execution
        self.backend: Backend = execution.backend
        self.idle_seconds = idle_seconds
        self.worker_options = tuple(worker_options)
        self._worker: WorkerProcess | None = None
        self._finalizer: Callable[[], object] = _do_nothing
        self._busy = threading.Lock()

    @property
    def worker_pid(self) -> int | None:
        """The number of the worker's process, None while there is none."""
        worker = self._worker
        return worker.pid if worker is not None and worker.alive else None

    def configure(self, execution: ExecutionConfig) -> None:
        """Use another config from the next job on; another backend starts another worker."""
        self.execution = execution
        self.backend = execution.backend

    def warm_up(self) -> None:
        """Start the worker and let it import its framework; returns at once, raises nothing."""
        with contextlib.suppress(WorkerError), self._job_lock():
            self._ready_worker().send(warm_up_request(self.execution))

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        """Reconstruct a scan as `Engine.reconstruct` does.

        Of a `CheckpointMonitor` the worker takes the plan, and writes and reads the file itself.

        Raises:
            Cancelled: the monitor requested a stop; within a second, whatever the worker does.
            WorkerDiedError: the worker was killed; noticed within a second.
            WorkerError: another monitor keeps the state, which stays in the worker.
            PtychoPINNError: the error of the worker's engine, with its class and message.
        """
        plan = monitor.plan if isinstance(monitor, CheckpointMonitor) else None
        if plan is None and monitor.wants_state(last=True):
            raise WorkerError(
                'the state of a reconstruction stays in the worker process, which writes it for a '
                'CheckpointMonitor only; take that one, or an engine from make_engine'
            )

        def request(worker: WorkerProcess) -> Message:
            return reconstruct_request(
                self.execution, scan, inference, model, worker.model_name, plan
            )

        with self._job_lock():
            result = self._run(request, monitor)
        return unpack_reconstruction(result.body, result.arrays)

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
        """Train a model as `Engine.fit` does; a stopped training returns its best model so far.

        To keep the best model of a training whose worker dies, pass a `BestModelMonitor`.

        Raises:
            Cancelled: stopped before the first epoch was done.
            WorkerDiedError: the worker was killed; noticed within a second.
            PtychoPINNError: the error of the worker's engine, with its class and message.
        """

        def request(worker: WorkerProcess) -> Message:
            return fit_request(
                self.execution,
                scans,
                model,
                training,
                folder,
                resume=resume,
                initial=initial,
                worker_model_name=worker.model_name,
            )

        best = BestModelMonitor(monitor)
        with self._job_lock():
            try:
                result = self._run(request, best)
            except Cancelled as stop:
                if best.best_model is None:
                    raise
                logger.warning('%s; the model is the best so far', stop)
                return best.best_model
        return unpack_model(result.body, result.arrays)

    def close(self) -> None:
        """End the worker, and with it a job that is under way; a later job starts another."""
        self._worker = None
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _job_lock(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise WorkerError(
                'this engine is in the middle of a job; wait for its end, stop it through its '
                'monitor, or make another RemoteEngine'
            )
        try:
            yield
        finally:
            self._busy.release()

    def _ready_worker(self) -> WorkerProcess:
        """Return the present worker, or a new one where it is gone or of another backend."""
        worker = self._worker
        if worker is not None and worker.alive and worker.backend == self.backend:
            return worker
        self._finalizer()
        logger.info('Loading %s ...', backend_display_name(self.backend))
        worker = WorkerProcess(self.backend, self.idle_seconds, self.worker_options)
        self._finalizer = weakref.finalize(self, worker.end)
        self._worker = worker
        return worker

    def _run(self, request: Callable[[WorkerProcess], Message], monitor: Monitor) -> Message:
        """Run a job; once more on a new worker where the kept one was gone before it began."""
        while True:
            before = self._worker
            worker = self._ready_worker()
            message = request(worker)
            job = RemoteJob(worker, monitor, previews=message.kind == RECONSTRUCT)
            try:
                return job.run(message)
            except WorkerDiedError as death:
                if worker is not before or job.started:
                    raise
                logger.debug('The job goes to a new worker: %s', death)


def _do_nothing() -> None:
    """End no worker."""
