"""The worker's side of a job: what the engine tells goes to the parent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.worker.codec import pack_model, pack_progress, pack_reconstruction
from ptychopinn_plugin.worker.messages import Array, Frame, write_frame


class Outlet:
    """Writes frames to the parent, from any thread.

    Args:
        stream: the parent reads its other end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self._lock = threading.Lock()

    def send(
        self, kind: str, body: Mapping[str, Any], arrays: Mapping[str, Array] | None = None
    ) -> None:
        """Write one frame."""
        with self._lock:
            write_frame(self.stream, Frame(kind, body, arrays or {}))


@dataclass(eq=False)
class Job:
    """A job of the worker.

    Attributes:
        request: the parent's frame.
        stop: set when the parent wants it stopped.
        preview: set when the parent wants to see the reconstruction as it stands.
    """

    request: Frame
    stop: threading.Event = field(default_factory=threading.Event)
    preview: threading.Event = field(default_factory=threading.Event)


class RelayMonitor(Monitor):
    """Tells the parent what the engine tells, and the engine when the parent wants a stop."""

    def __init__(self, job: Job, outlet: Outlet) -> None:
        self.job = job
        self.outlet = outlet

    def on_progress(self, progress: Progress) -> None:
        """Pass a step on."""
        self.outlet.send('progress', pack_progress(progress))

    def should_stop(self) -> bool:
        """Say whether the parent asked for a stop."""
        return self.job.stop.is_set()

    def wants_preview(self) -> bool:
        """Say whether the parent asked for a preview."""
        return self.job.preview.is_set()

    def on_preview(self, reconstruction: Reconstruction) -> None:
        """Pass a preview on."""
        self.job.preview.clear()
        self.outlet.send('preview', *pack_reconstruction(reconstruction))

    def wants_models(self) -> bool:
        """Ask for each better model: the parent keeps it, should this process be killed."""
        return True

    def on_better_model(self, model: TrainedModel) -> None:
        """Pass the best model so far on."""
        self.outlet.send('model', *pack_model(model))


class RelayLogHandler(logging.Handler):
    """Sends log records to the parent, whose loggers of the same names handle them."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        self.outlet = outlet

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record as text."""
        self.outlet.send(
            'log', {'name': record.name, 'level': record.levelno, 'text': self.format(record)}
        )
