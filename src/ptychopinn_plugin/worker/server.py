"""What the worker process does: one job after the other, until nobody needs it."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.worker.codec import (
    Array,
    pack_model,
    pack_reconstruction,
    unpack_model,
    unpack_scans,
)
from ptychopinn_plugin.worker.error_codec import pack_error
from ptychopinn_plugin.worker.messages import Frame, read_frame
from ptychopinn_plugin.worker.relay import Job, Outlet, RelayLogHandler, RelayMonitor
from ptychopinn_plugin.worker.shared_memory import Arena

PACKAGE = 'ptychopinn_plugin'
MODEL = 'model:'


class Server:
    """Serves the parent.

    Args:
        requests: the parent's frames.
        outlet: frames to the parent.
        arena: where the parent puts arrays; None where they follow their frames.
        make_engine: returns the engine of a config; imports its framework.
    """

    def __init__(
        self,
        requests: BinaryIO,
        outlet: Outlet,
        arena: Arena | None,
        make_engine: Callable[[ExecutionConfig], Engine],
    ) -> None:
        self.requests = requests
        self.outlet = outlet
        self.arena = arena
        self.make_engine = make_engine
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._engine: tuple[ExecutionConfig, Engine] | None = None
        self._model: tuple[str, TrainedModel] | None = None

    def serve(self, idle_seconds: float) -> None:
        """Do jobs until there was none for some seconds; ends the process when the parent ends."""
        log = logging.getLogger(PACKAGE)
        log.addHandler(RelayLogHandler(self.outlet))
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            try:
                job = self._jobs.get(timeout=idle_seconds)
            except queue.Empty:
                return
            log.setLevel(job.request.body['log_level'])
            self._answer(job)

    def _listen(self) -> None:
        """Take frames; a stop or a wish for a preview reaches the job that is under way."""
        try:
            job = None
            while (frame := read_frame(self.requests, self.arena)) is not None:
                if frame.kind == 'stop' and job is not None:
                    job.stop.set()
                elif frame.kind == 'preview' and job is not None:
                    job.preview.set()
                elif frame.kind not in ('stop', 'preview'):
                    job = Job(frame)
                    self._jobs.put(job)
        finally:
            # Nobody is left to work for, or to tell; a job may be deep in a long step.
            os._exit(0)

    def _answer(self, job: Job) -> None:
        if job.request.kind == 'warm up':
            return self._warm_up(job.request)
        self.outlet.send('started', {})
        try:
            body, arrays = self._do(job)
        except Exception as error:  # noqa: BLE001  (it is raised in the parent)
            self.outlet.send('error', pack_error(error))
        else:
            self.outlet.send('result', body, arrays)

    def _warm_up(self, request: Frame) -> None:
        try:
            self._engine_for(request.body)
        except Exception:
            # The job that follows meets the same error and has someone to tell.
            logging.getLogger(PACKAGE).debug('Cannot be warmed up', exc_info=True)

    def _do(self, job: Job) -> tuple[dict[str, Any], dict[str, Array]]:
        body, arrays = job.request.body, job.request.arrays
        model = self._model_for(body, arrays)
        engine = self._engine_for(body)
        monitor = RelayMonitor(job, self.outlet)
        scan_arrays = {name: a for name, a in arrays.items() if not name.startswith(MODEL)}
        scans = unpack_scans(body['scans'], scan_arrays)
        if job.request.kind == 'reconstruct':
            inference = InferenceConfig.model_validate(body['inference'])
            return pack_reconstruction(engine.reconstruct(scans[0], inference, model, monitor))
        trained = engine.fit(
            scans,
            ModelConfig.model_validate(body['model_config']),
            TrainingConfig.model_validate(body['training']),
            monitor,
            folder=None if body['folder'] is None else Path(body['folder']),
            resume=body['resume'],
        )
        return pack_model(trained)

    def _engine_for(self, body: Mapping[str, Any]) -> Engine:
        """Return the engine of the request's config, the present one where it is the same."""
        execution = ExecutionConfig.model_validate(body['execution'])
        if self._engine is None or self._engine[0] != execution:
            self._engine = execution, self.make_engine(execution)
        return self._engine[1]

    def _model_for(
        self, body: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> TrainedModel | None:
        """Return the request's model, the present one where it only names it."""
        name = body.get('model_name')
        if not name:
            return None
        if body['manifest'] is not None:
            # Copied, for the arena is another's after this job.
            own = {
                key.removeprefix(MODEL): array.copy()
                for key, array in arrays.items()
                if key.startswith(MODEL)
            }
            self._model = name, unpack_model(body['manifest'], own)
        if self._model is None or self._model[0] != name:
            raise WorkerError(f'the worker does not have the model {name}; run again')
        return self._model[1]
