"""A worker process as its parent sees it."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.errors import WorkerDiedError, WorkerError
from ptychopinn_plugin.worker.environment import worker_command, worker_environment
from ptychopinn_plugin.worker.messages import Frame, read_frame, write_frame
from ptychopinn_plugin.worker.shared_memory import Arena

logger = logging.getLogger(__name__)

KEPT_LINES = 40
SHOWN_LINES = 6
LEAVING_SECONDS = 0.3
KILLED = 9  # the signal's number; not every system has a name for it

Process = subprocess.Popen[bytes]
Frames = queue.SimpleQueue[Frame | None]


class WorkerProcess:
    """Starts a worker process, writes to it and reads from it.

    Args:
        backend: the framework that it is for.
        idle_seconds: how long it waits for work before it leaves.
        options: further options of `python -m ptychopinn_plugin.worker`.

    Attributes:
        model_name: of the model that it holds, '' for none.
        ended: whether it was asked to leave.

    Raises:
        WorkerError: it cannot be started.
    """

    def __init__(self, backend: Backend, idle_seconds: float, options: Sequence[str] = ()) -> None:
        self.backend = backend
        self.model_name = ''
        self.ended = False
        self._owner = os.getpid()
        self._arena = Arena.create()
        self._frames: Frames = queue.SimpleQueue()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Lock()
        command = ['--parent', str(self._owner), '--idle-seconds', str(idle_seconds), *options]
        if self._arena is not None:
            command += ['--arena', str(self._arena.descriptor)]
        started: Future[Process] = Future()
        arguments = (worker_command(command), self._arena, started, self._frames, self._lock)
        # The system ends the worker with the thread that started it, so that thread stays.
        threading.Thread(target=_attend, args=arguments, daemon=True).start()
        self._process = started.result()
        self._listener = threading.Thread(
            target=_keep_lines, args=(self._process, self._lines), daemon=True
        )
        self._listener.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs and is ours, not that of a process we were forked from."""
        return os.getpid() == self._owner and self._process.poll() is None

    def send(self, frame: Frame) -> None:
        """Write a frame; where the worker is gone, `receive` tells.

        Raises:
            WorkerError: there is no room for the frame's arrays.
        """
        assert self._process.stdin is not None
        arena = self._arena if frame.arrays else None
        try:
            with self._lock:
                if not self._process.stdin.closed:
                    write_frame(self._process.stdin, frame, arena)
        except BrokenPipeError:
            return
        except OSError as error:
            raise WorkerError(f'the data cannot be handed to the worker: {error}') from error

    def receive(self, timeout: float) -> Frame | None:
        """Return the worker's next frame, None where none came in time.

        Raises:
            WorkerDiedError: the worker ended.
        """
        try:
            frame = self._frames.get(timeout=timeout)
        except queue.Empty:
            # Processes of its own may keep its end of the pipe open, so look at it as well.
            if self.alive or not self._frames.empty():
                return None
            frame = None
        if frame is None:
            self._frames.put(None)
            raise self._death()
        return frame

    def release(self) -> None:
        """Give the memory of the last frame's arrays back; the worker must be done with them."""
        if self._arena is not None:
            self._arena.clear()

    def kill(self) -> None:
        """End the process and its own processes at once."""
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
        """Let the process leave, and end it if it does not."""
        self.ended = True
        if not self.alive:
            return
        with contextlib.suppress(OSError), self._lock:
            if self._process.stdin is not None:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVING_SECONDS)
        self.kill()

    def _death(self) -> WorkerDiedError:
        self.kill()
        self._listener.join(LEAVING_SECONDS)
        lines = tuple(self._lines)
        said = ''.join(f'\n  {line}' for line in lines[-SHOWN_LINES:])
        code = self._process.returncode
        return WorkerDiedError(
            f'the worker process {_manner(code)}; run again, a fresh one will be started'
            + (f'. Its last lines:{said}' if said else ''),
            code,
            lines,
        )


def _manner(exit_code: int | None) -> str:
    if exit_code is None:
        return 'does not answer any more'
    if exit_code == -KILLED:
        return 'was killed (signal 9), as happens where memory runs out'
    if exit_code < 0:
        return f'was ended by signal {-exit_code} ({signal.strsignal(-exit_code)})'
    return f'left in the middle of its work with exit code {exit_code}'


def _attend(
    command: list[str],
    arena: Arena | None,
    started: Future[Process],
    frames: Frames,
    writing: threading.Lock,
) -> None:
    """Start a worker, pass its frames on until its end, reap it."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=worker_environment(),
            pass_fds=() if arena is None else (arena.descriptor,),
            # Ctrl-C in a terminal goes to all of a session: it is the parent's to answer.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        started.set_exception(WorkerError(f'no worker process can be started: {error}'))
        return
    started.set_result(process)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        with process.stdout:
            while (frame := read_frame(process.stdout)) is not None:
                frames.put(frame)
    except (OSError, ValueError, WorkerError):
        logger.exception('The stream of the worker is damaged; it is ended')
    finally:
        _reap(process)
        frames.put(None)
        with contextlib.suppress(OSError), writing:
            process.stdin.close()


def _reap(process: Process) -> None:
    """Wait for a process that has said its last word."""
    try:
        process.wait(LEAVING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _keep_lines(process: Process, lines: deque[str]) -> None:
    """Keep the last lines that a process writes to standard error."""
    assert process.stderr is not None
    with process.stderr as stream:
        for line in stream:
            text = line.decode(errors='replace').rstrip()
            lines.append(text)
            logger.debug('worker: %s', text)
