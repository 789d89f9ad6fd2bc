"""An engine whose work is done by a worker process."""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import Cancelled, WorkerDiedError, WorkerError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.io.model_file.tensors import checksum, to_tensors
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.worker.codec import (
    Array,
    pack_model,
    pack_scans,
    unpack_model,
    unpack_reconstruction,
)
from ptychopinn_plugin.worker.messages import Frame
from ptychopinn_plugin.worker.process import WorkerProcess
from ptychopinn_plugin.worker.remote_job import Events, RemoteJob
from ptychopinn_plugin.worker.server import MODEL, PACKAGE

logger = logging.getLogger(__name__)

Value = TypeVar('Value')


class RemoteEngine:
    """An `Engine` whose work is done by a worker process; this process imports no framework.

    The worker is started by the first job and kept, with its framework and the last model loaded,
    until `close`, until this process ends in whatever way, or until it had nothing to do for
    `idle_seconds`; the next job starts another. One job at a time.

    Args:
        execution: backend, device, threads.
        idle_seconds: how long a worker waits for work before it leaves.
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
        self._finalizer: Callable[[], object] = _nothing
        self._busy = threading.Lock()
        self._best_model: TrainedModel | None = None

    @property
    def worker_pid(self) -> int | None:
        """The number of the worker's process, None while there is none."""
        worker = self._worker
        return worker.pid if worker is not None and worker.alive else None

    @property
    def best_model(self) -> TrainedModel | None:
        """The best model of the last `fit` so far, also after it failed; None without one."""
        return self._best_model

    def configure(self, execution: ExecutionConfig) -> None:
        """Take another config for the next jobs; for another backend another worker starts."""
        self.execution = execution
        self.backend = execution.backend

    def warm_up(self) -> None:
        """Start the worker and let it import its framework; returns at once, raises nothing."""
        with contextlib.suppress(WorkerError), self._job_lock():
            self._ready_worker().send(Frame('warm up', self._common()))

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
        return _drained(self.reconstructing(scan, inference, model, monitor))

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

        def request(worker: WorkerProcess) -> Frame:
            body, arrays = _packed(worker, model)
            body |= self._common() | {'inference': inference.model_dump(mode='json')}
            body['scans'], scan_arrays = pack_scans([scan], ['true_patches'])
            return Frame('reconstruct', body, arrays | scan_arrays)

        with self._job_lock():
            result = yield from self._run(request, monitor)
        return unpack_reconstruction(dict(result.body), result.arrays)

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
        return _drained(self.fitting(scans, model, training, monitor, folder=folder, resume=resume))

    def fitting(
        self,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        monitor: Monitor,
        *,
        folder: Path | None = None,
        resume: bool = False,
    ) -> Generator[Progress | Reconstruction, None, TrainedModel]:
        """Do as `fit`, step by step; closing the generator stops the training.

        Yields:
            Each step, after the monitor has heard of it.

        Returns:
            The model, as the value of `yield from`; after a close it is `best_model`.
        """

        def request(_worker: WorkerProcess) -> Frame:
            body = self._common() | {
                'model_config': model.model_dump(mode='json'),
                'training': training.model_dump(mode='json'),
                'folder': None if folder is None else str(folder.absolute()),
                'resume': resume,
            }
            body['scans'], arrays = pack_scans(scans)
            return Frame('fit', body, arrays)

        with self._job_lock():
            self._best_model = None
            try:
                result = yield from self._run(request, monitor)
            except Cancelled as stop:
                best = self.best_model
                if best is None:
                    raise
                logger.warning('%s; the model is the best so far', stop)
                return best
            self._best_model = unpack_model(dict(result.body), result.arrays)
            return self._best_model

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
                'this engine is in the middle of a job; wait for its end, close its generator, '
                'or make another RemoteEngine'
            )
        try:
            yield
        finally:
            self._busy.release()

    def _common(self) -> dict[str, Any]:
        return {
            'execution': self.execution.model_dump(mode='json'),
            'log_level': logging.getLogger(PACKAGE).getEffectiveLevel(),
        }

    def _ready_worker(self) -> WorkerProcess:
        """Return the present worker, or a fresh one where it is gone or of another backend."""
        worker = self._worker
        if worker is not None and worker.alive and worker.backend == self.backend:
            return worker
        self._finalizer()
        worker = WorkerProcess(self.backend, self.idle_seconds, self.worker_options)
        self._finalizer = weakref.finalize(self, worker.end)
        self._worker = worker
        return worker

    def _run(self, request: Callable[[WorkerProcess], Frame], monitor: Monitor) -> Events:
        """Run a job; once more on a fresh worker where the kept one was gone before it began."""
        while True:
            before = self._worker
            worker = self._ready_worker()
            frame = request(worker)
            worker.model_name = frame.body.get('model_name') or worker.model_name
            job = RemoteJob(worker, monitor, previews=frame.kind == 'reconstruct')
            try:
                return (yield from job.run(frame))
            except WorkerDiedError as death:
                if worker is not before or job.started:
                    raise
                logger.debug('The job goes to a fresh worker: %s', death)
            finally:
                if frame.kind == 'fit':
                    self._best_model = job.best_with_history()


def _packed(
    worker: WorkerProcess, model: TrainedModel | None
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a model for a request: whole, or by name where the worker has it already."""
    if model is None:
        return {'model_name': ''}, {}
    name = checksum(to_tensors(model), model.manifest.model_dump_json())
    if name == worker.model_name:
        return {'model_name': name, 'manifest': None}, {}
    manifest, arrays = pack_model(model)
    return (
        {'model_name': name, 'manifest': manifest},
        {MODEL + key: array for key, array in arrays.items()},
    )


def _drained(steps: Generator[object, None, Value]) -> Value:
    """Run a generator to its end and return its value."""
    with contextlib.closing(steps):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                value: Value = end.value
                return value


def _nothing() -> None:
    """Stand for the end of no worker."""
