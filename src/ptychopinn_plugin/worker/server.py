"""The loop of the worker process: one job after another, until the parent needs none."""

from __future__ import annotations

import gc
import logging
import os
import queue
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.checkpointing import CheckpointMonitor, checkpoint_header
from ptychopinn_plugin.worker.codec import pack_model, pack_reconstruction, unpack_model
from ptychopinn_plugin.worker.error_codec import pack_error
from ptychopinn_plugin.worker.messages import Message, read_message
from ptychopinn_plugin.worker.relay import (
    MessageWriter,
    RelayLogHandler,
    RelayMonitor,
    WorkerJob,
)
from ptychopinn_plugin.worker.requests import (
    PACKAGE,
    RECONSTRUCT,
    WARM_UP,
    BodyAndArrays,
    read_checkpointing,
    read_execution,
    read_model_arrays,
    read_scans,
)
from ptychopinn_plugin.worker.shared_memory import SharedMemory


class Server:
    """Does the parent's jobs.

    Args:
        requests: pipe with the parent's messages.
        writer: of messages to the parent.
        memory: where the parent puts arrays; None where they follow their messages in the pipe.
        make_engine: returns the engine of a config; imports its framework.
    """

    def __init__(
        self,
        requests: BinaryIO,
        writer: MessageWriter,
        memory: SharedMemory | None,
        make_engine: Callable[[ExecutionConfig], Engine],
    ) -> None:
        self.requests = requests
        self.writer = writer
        self.memory = memory
        self.make_engine = make_engine
        self._jobs: queue.SimpleQueue[WorkerJob] = queue.SimpleQueue()
        self._engine: tuple[ExecutionConfig, Engine] | None = None
        self._model: tuple[str, TrainedModel] | None = None

    def serve(self, idle_seconds: float) -> None:
        """Do jobs until none came for some seconds; ends the process when the parent ends."""
        log = logging.getLogger(PACKAGE)
        log.addHandler(RelayLogHandler(self.writer))
        threading.Thread(target=self._read_requests, daemon=True).start()
        while True:
            try:
                job = self._jobs.get(timeout=idle_seconds)
            except queue.Empty:
                return
            log.setLevel(job.request.body['log_level'])
            self._answer(job)
            # The reader of requests keeps the job, and a training's objects refer to each other:
            # both would hold the arrays of its scans until some later job.
            job.request = Message('done')
            gc.collect()

    def _read_requests(self) -> None:
        """Queue jobs; set the flags of the last one where the parent requests a stop or preview."""
        try:
            job = None
            while (message := read_message(self.requests, self.memory)) is not None:
                if message.kind == 'stop' and job is not None:
                    job.stop.set()
                elif message.kind == 'preview' and job is not None:
                    job.preview.set()
                elif message.kind not in ('stop', 'preview'):
                    job = WorkerJob(message)
                    self._jobs.put(job)
                # Until the next message it would hold the arrays of this one.
                del message
        finally:
            # The parent is gone, and the job may be in a step that takes long.
            os._exit(0)

    def _answer(self, job: WorkerJob) -> None:
        if job.request.kind == WARM_UP:
            return self._warm_up(job.request)
        self.writer.send('started', {})
        try:
            body, arrays = self._do(job)
        except Exception as error:  # noqa: BLE001  (it is raised in the parent)
            self.writer.send('error', pack_error(error))
        else:
            self.writer.send('result', body, arrays)

    def _warm_up(self, request: Message) -> None:
        try:
            self._engine_for(request)
        except Exception:
            # The next job meets the same error and reports it.
            logging.getLogger(PACKAGE).debug('Cannot be warmed up', exc_info=True)

    def _do(self, job: WorkerJob) -> BodyAndArrays:
        request, body = job.request, job.request.body
        model = self._model_for(request)
        engine = self._engine_for(request)
        monitor: Monitor = RelayMonitor(job, self.writer)
        scans = read_scans(request)
        if request.kind == RECONSTRUCT:
            inference = InferenceConfig.model_validate(body['inference'])
            if plan := read_checkpointing(request):
                header = partial(checkpoint_header, engine.backend, scans[0], inference, model)
                monitor = CheckpointMonitor(monitor, plan, header)
            return pack_reconstruction(engine.reconstruct(scans[0], inference, model, monitor))
        trained = engine.fit(
            scans,
            ModelConfig.model_validate(body['model_config']),
            TrainingConfig.model_validate(body['training']),
            monitor,
            folder=None if body['folder'] is None else Path(body['folder']),
            resume=body['resume'],
            initial=model,
        )
        return pack_model(trained)

    def _engine_for(self, request: Message) -> Engine:
        """Return the engine of the request's config, the present one where it is the same."""
        execution = read_execution(request)
        if self._engine is None or self._engine[0] != execution:
            self._engine = execution, self.make_engine(execution)
        return self._engine[1]

    def _model_for(self, request: Message) -> TrainedModel | None:
        """Return the request's model, the present one where the request only names it."""
        name = request.body.get('model_name')
        if not name:
            return None
        if request.body['manifest'] is not None:
            arrays = read_model_arrays(request.arrays)
            self._model = name, unpack_model(request.body['manifest'], arrays)
        if self._model is None or self._model[0] != name:
            raise WorkerError(f'the worker does not have the model {name}; run again')
        return self._model[1]
