"""Forwarding of progress, previews, models and log records from the worker to its parent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.worker.codec import pack_model, pack_progress, pack_reconstruction
from ptychopinn_plugin.worker.messages import Body, Message, write_message
from ptychopinn_plugin.worker.shared_memory import Array


class MessageWriter:
    """Writes messages to the parent, from any thread.

    Args:
        stream: pipe to the parent.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self._lock = threading.Lock()

    def send(self, kind: str, body: Body, arrays: Mapping[str, Array] | None = None) -> None:
        """Write one message."""
        with self._lock:
            write_message(self.stream, Message(kind, body, arrays or {}))


@dataclass(eq=False)
class WorkerJob:
    """A job in the worker: one call of the engine.

    Attributes:
        request: the parent's message.
        stop: set when the parent requests a stop.
        preview: set when the parent requests a preview.
    """

    request: Message
    stop: threading.Event = field(default_factory=threading.Event)
    preview: threading.Event = field(default_factory=threading.Event)


class RelayMonitor(Monitor):
    """Sends the engine's reports to the parent, and the parent's requests to the engine."""

    def __init__(self, job: WorkerJob, writer: MessageWriter) -> None:
        self.job = job
        self.writer = writer

    def on_progress(self, progress: Progress) -> None:
        """Send one step."""
        self.writer.send('progress', pack_progress(progress))

    def should_stop(self) -> bool:
        """Return whether the parent requested a stop."""
        return self.job.stop.is_set()

    def wants_preview(self) -> bool:
        """Return whether the parent requested a preview."""
        return self.job.preview.is_set()

    def on_preview(self, reconstruction: Reconstruction) -> None:
        """Send a preview."""
        self.job.preview.clear()
        self.writer.send('preview', *pack_reconstruction(reconstruction))

    def wants_models(self) -> bool:
        """Return True: the parent keeps each better model, in case this process is killed."""
        return True

    def on_better_model(self, model: TrainedModel) -> None:
        """Send the best model so far."""
        self.writer.send('model', *pack_model(model))


class RelayLogHandler(logging.Handler):
    """Sends log records to the parent, whose loggers of the same names handle them."""

    def __init__(self, writer: MessageWriter) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record as text."""
        self.writer.send(
            'log', {'name': record.name, 'level': record.levelno, 'text': self.format(record)}
        )
