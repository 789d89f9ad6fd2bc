"""One job of a worker process, watched from the caller's thread."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Generator

import numpy as np

from ptychopinn_plugin.errors import Cancelled, WorkerDiedError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.worker.codec import unpack_model, unpack_progress, unpack_reconstruction
from ptychopinn_plugin.worker.error_codec import unpack_error
from ptychopinn_plugin.worker.messages import Frame
from ptychopinn_plugin.worker.process import WorkerProcess

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
# What a stop may take in all is one second; noticing it and killing take the rest.
STOP_SECONDS = 0.8

Events = Generator[Progress | Reconstruction, None, Frame]


class RemoteJob:
    """A job under way.

    Args:
        worker: does it.
        monitor: hears of each step and may ask for a stop.
        previews: whether the monitor is asked for previews.

    Attributes:
        started: whether the worker has taken it up.
        best_model: the best model so far, None without one.
    """

    def __init__(self, worker: WorkerProcess, monitor: Monitor, *, previews: bool) -> None:
        self.worker = worker
        self.monitor = monitor
        self.previews = previews
        self.started = False
        self.best_model: TrainedModel | None = None
        self._later_losses: list[tuple[float, float]] = []
        self._preview_due = False
        self._deadline: float | None = None

    def run(self, request: Frame) -> Events:
        """Send the request; yield each step and preview; return the frame of the result.

        Whatever else ends the generator, a close among it, stops the worker's job.

        Raises:
            Cancelled: the monitor asked for a stop, or the worker was ended.
            WorkerDiedError: the worker died.
            PtychoPINNError: what the engine raised.
        """
        finished = False
        try:
            self.worker.send(request)
            while (frame := self._next()).kind != 'result':
                if frame.kind == 'error':
                    finished = True
                    raise _error_of(frame)
                yield from self._hear(frame)
            finished = True
            return frame
        except WorkerDiedError as death:
            finished = True
            if self.worker.ended:
                raise Cancelled('stopped: the worker was ended') from death
            raise
        finally:
            if not finished:
                self._abandon()
            self.worker.release()

    def _next(self) -> Frame:
        """Return the next frame; until it comes, ask the monitor whether to stop."""
        while True:
            if self._deadline is None and self.monitor.should_stop():
                self._stop()
            frame = self.worker.receive(POLL_SECONDS)
            if frame is not None:
                return frame
            if self._deadline is not None and time.monotonic() > self._deadline:
                self.worker.kill()
                raise Cancelled('stopped on request; the worker did not answer and was ended')

    def _stop(self) -> None:
        self._deadline = time.monotonic() + STOP_SECONDS
        self.worker.send(Frame('stop'))

    def _hear(self, frame: Frame) -> Generator[Progress | Reconstruction, None, None]:
        """Take up a frame from the middle of a job."""
        if frame.kind == 'started':
            self.started = True
        elif frame.kind == 'progress':
            yield self._progress(unpack_progress(dict(frame.body)))
        elif frame.kind == 'preview':
            self._preview_due = False
            preview = unpack_reconstruction(dict(frame.body), frame.arrays)
            self.monitor.on_preview(preview)
            yield preview
        elif frame.kind == 'model':
            self._keep(frame)
            if self.best_model is not None and self.monitor.wants_models():
                self.monitor.on_better_model(self.best_model)
        elif frame.kind == 'log':
            _log(frame)

    def _progress(self, progress: Progress) -> Progress:
        if progress.validation_loss is not None:
            self._later_losses.append((progress.loss, progress.validation_loss))
        self.monitor.on_progress(progress)
        more = progress.step < progress.total
        if self.previews and more and not self._preview_due and self.monitor.wants_preview():
            self._preview_due = True
            self.worker.send(Frame('preview'))
        return progress

    def _keep(self, frame: Frame) -> None:
        self.best_model = unpack_model(dict(frame.body), frame.arrays)
        self._later_losses = []

    def best_with_history(self) -> TrainedModel | None:
        """Return the best model so far with the losses of all epochs that were done."""
        if self.best_model is None or not self._later_losses:
            return self.best_model
        losses = np.concatenate([self.best_model.losses, np.asarray(self._later_losses)])
        return dataclasses.replace(self.best_model, losses=losses)

    def _abandon(self) -> None:
        """Stop the job and wait for its end, so that the worker is free for another."""
        if self._deadline is None:
            self._stop()
        try:
            while (frame := self._next()).kind != 'error':
                if frame.kind in ('model', 'result') and 'losses' in frame.arrays:
                    self._keep(frame)
                if frame.kind == 'result':
                    return
        except (Cancelled, WorkerDiedError) as error:
            logger.debug('An abandoned job ended: %s', error)


def _error_of(frame: Frame) -> Exception:
    for line in frame.body.get('traceback', ()):
        logger.error('worker: %s', line)
    return unpack_error(dict(frame.body))


def _log(frame: Frame) -> None:
    """Hand a record of the worker to the logger of its name here."""
    target, level = logging.getLogger(frame.body['name']), frame.body['level']
    if target.isEnabledFor(level):
        target.handle(
            target.makeRecord(target.name, level, 'worker', 0, frame.body['text'], (), None)
        )
