"""One job of a worker process, followed from the caller's thread."""

from __future__ import annotations

import logging
import time

from ptychopinn_plugin.errors import Cancelled, PtychoPINNError, WorkerDiedError
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.worker.codec import unpack_model, unpack_progress, unpack_reconstruction
from ptychopinn_plugin.worker.error_codec import unpack_error
from ptychopinn_plugin.worker.messages import Message
from ptychopinn_plugin.worker.process import WorkerProcess

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
# A stop may take one second in all. Polling takes up to 0.05 s of the rest and the end of a killed
# process up to 0.3 s; the remaining 0.15 s are for a machine that is busy.
STOP_SECONDS = 0.5


class RemoteJob:
    """A job of the worker: one call of its engine.

    Args:
        worker: the process that does it.
        monitor: receives the worker's reports and may request a stop.
        previews: whether the monitor is asked for previews.

    Attributes:
        started: whether the worker has begun the job.
    """

    def __init__(self, worker: WorkerProcess, monitor: Monitor, *, previews: bool) -> None:
        self.worker = worker
        self.monitor = monitor
        self.previews = previews
        self.started = False
        self._preview_requested = False
        self._deadline: float | None = None

    def run(self, request: Message) -> Message:
        """Send the request, pass the worker's reports to the monitor, return the result.

        After an error of the monitor the worker's job is stopped and the monitor is not called any
        more.

        Raises:
            Cancelled: the monitor requested a stop, or the worker was closed.
            WorkerDiedError: the worker died.
            PtychoPINNError: the error of the engine.
        """
        finished = True  # as long as nothing has been sent
        try:
            self.worker.send(request, self._check_while_sending)
            finished = False
            # Not before: a worker that did not get the request does not have its model.
            self.worker.model_name = request.body.get('model_name') or self.worker.model_name
            while (message := self._next_message()).kind not in ('result', 'error'):
                self._handle(message)
            finished = True
        except WorkerDiedError as death:
            finished = True
            if self.worker.ended:
                raise Cancelled('stopped: the worker was ended') from death
            raise
        finally:
            if not finished:
                self._abandon()
            self.worker.release()
        if message.kind == 'error':
            raise _unpack_and_log(message)
        return message

    def _check_while_sending(self) -> None:
        if self.monitor.should_stop():
            raise Cancelled('stopped on request, before the worker began')

    def _next_message(self) -> Message:
        """Return the next message; until it comes, ask the monitor whether to stop."""
        while True:
            if self._deadline is None and self.monitor.should_stop():
                self._request_stop()
            message = self.worker.receive(POLL_SECONDS)
            if message is not None:
                return message
            if self._deadline is not None and time.monotonic() > self._deadline:
                self.worker.kill()
                raise Cancelled('stopped on request; the worker did not answer and was ended')

    def _request_stop(self) -> None:
        self._deadline = time.monotonic() + STOP_SECONDS
        self.worker.send(Message('stop'))

    def _handle(self, message: Message) -> None:
        """Pass a message from the middle of a job to the monitor."""
        if message.kind == 'started':
            self.started = True
        elif message.kind == 'progress':
            self._report(unpack_progress(message.body))
        elif message.kind == 'preview':
            self._preview_requested = False
            self.monitor.on_preview(unpack_reconstruction(message.body, message.arrays))
        elif message.kind == 'model' and self.monitor.wants_models():
            self.monitor.on_better_model(unpack_model(message.body, message.arrays))
        elif message.kind == 'log':
            _log(message)

    def _report(self, progress: Progress) -> None:
        """Report a step; request a preview if the monitor wants one and none is under way."""
        self.monitor.on_progress(progress)
        more = progress.step < progress.total
        if self.previews and more and not self._preview_requested and self.monitor.wants_preview():
            self._preview_requested = True
            self.worker.send(Message('preview'))

    def _abandon(self) -> None:
        """Stop the job and wait for its end, so that the worker can begin another."""
        if self._deadline is None:
            self._request_stop()
        try:
            while self._next_message().kind not in ('result', 'error'):
                pass
        except (Cancelled, WorkerDiedError) as error:
            logger.debug('An abandoned job ended: %s', error)


def _unpack_and_log(message: Message) -> PtychoPINNError:
    for line in message.body.get('traceback', ()):
        logger.error('worker: %s', line)
    return unpack_error(message.body)


def _log(message: Message) -> None:
    """Pass a log record of the worker to the logger of the same name."""
    target, level = logging.getLogger(message.body['name']), message.body['level']
    if target.isEnabledFor(level):
        target.handle(
            target.makeRecord(target.name, level, 'worker', 0, message.body['text'], (), None)
        )
