"""A worker process as its parent handles it."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.errors import WorkerDiedError, WorkerError
from ptychopinn_plugin.worker.environment import worker_command
from ptychopinn_plugin.worker.messages import Message, encode_message
from ptychopinn_plugin.worker.process_pipes import StartedWorker
from ptychopinn_plugin.worker.process_threads import (
    LEAVING_SECONDS,
    Messages,
    Requests,
    keep_lines,
    start_and_read,
    write_requests,
)
from ptychopinn_plugin.worker.shared_memory import SharedMemory, do_nothing

KEPT_LINES = 40
SHOWN_LINES = 6
KILLED = 9  # SIGKILL, which not every system's `signal` defines


class WorkerProcess:
    """Starts a worker process, writes messages to it and reads its messages.

    Args:
        backend: the framework that it computes with.
        idle_seconds: how long it waits for a job before it ends.
        options: further options of `python -m ptychopinn_plugin.worker`.

    Attributes:
        model_name: of the model that it holds, '' for none.
        ended: whether it was asked to end.

    Raises:
        WorkerError: it cannot be started.
    """

    def __init__(self, backend: Backend, idle_seconds: float, options: Sequence[str] = ()) -> None:
        self.backend = backend
        self.model_name = ''
        self.ended = False
        self._owner = os.getpid()
        self._memory = SharedMemory.create()
        self._requests: Requests = queue.SimpleQueue()
        self._messages: Messages = queue.SimpleQueue()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        command = ['--parent', str(self._owner), '--idle-seconds', str(idle_seconds), *options]
        if self._memory is not None:
            command += ['--shared-memory', str(self._memory.descriptor)]
        started: Future[StartedWorker] = Future()
        # The system ends the worker with the thread that started it, so that thread stays.
        _start_thread(
            start_and_read,
            worker_command(command),
            self._memory,
            started,
            self._requests,
            self._messages,
        )
        worker = started.result()
        self._process = worker.process
        _start_thread(write_requests, worker.requests, self._requests)
        self._line_reader = _start_thread(keep_lines, worker.output, self._lines)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs and belongs to this process, not to the one it forked from."""
        return os.getpid() == self._owner and self._process.poll() is None

    def send(self, message: Message, check: Callable[[], None] = do_nothing) -> None:
        """Queue a message to be written; where the worker is gone, the next `receive` raises.

        Args:
            message: to be sent; its arrays are copied to shared memory where there is such.
            check: called after every 64 MB of an array; raises to stop before anything is sent.

        Raises:
            WorkerError: there is not enough memory for the message's arrays.
        """
        memory = self._memory if message.arrays else None
        try:
            self._requests.put(encode_message(message, memory, check))
        except OSError as error:
            raise WorkerError(f'the data cannot be sent to the worker: {error}') from error

    def receive(self, timeout: float) -> Message | None:
        """Return the worker's next message, None where none came within `timeout` seconds.

        Raises:
            WorkerDiedError: the worker ended.
            WorkerError: what it wrote is no message; it is killed.
        """
        try:
            message = self._messages.get(timeout=timeout)
        except queue.Empty:
            # The worker's own child processes may keep its end of the pipe open.
            if self.alive or not self._messages.empty():
                return None
            message = None
        if message is None:
            self._messages.put(None)
            raise self._death()
        if isinstance(message, WorkerError):
            self.kill()
            raise message
        return message

    def release(self) -> None:
        """Free the memory of the last message's arrays; the worker must not use them any more."""
        if self._memory is not None:
            self._memory.clear()

    def kill(self) -> None:
        """End the process and its child processes at once."""
        if os.getpid() != self._owner:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == 'posix':
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVING_SECONDS)

    def end(self) -> None:
        """Close the worker's input, at which it ends; kill it if it does not.

        It takes at most twice `LEAVING_SECONDS`, also where the worker does not read its input.
        """
        self.ended = True
        if not self.alive:
            return
        self._requests.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVING_SECONDS)
        self.kill()

    def _death(self) -> WorkerDiedError:
        self.kill()
        self._line_reader.join(LEAVING_SECONDS)
        lines = tuple(self._lines)
        shown = ''.join(f'\n  {line}' for line in lines[-SHOWN_LINES:])
        code = self._process.returncode
        return WorkerDiedError(
            f'the worker process {_describe_end(code)}; run again, a new one will be started'
            + (f'. Its last lines:{shown}' if shown else ''),
            code,
            lines,
        )


def _start_thread(target: Callable[..., None], *args: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def _describe_end(exit_code: int | None) -> str:
    if exit_code is None:
        return 'does not answer any more'
    if exit_code == -KILLED:
        return 'was killed (signal 9), as happens where memory runs out'
    if exit_code < 0:
        return f'was ended by signal {-exit_code} ({signal.strsignal(-exit_code)})'
    return f'ended in the middle of a job with exit code {exit_code}'
