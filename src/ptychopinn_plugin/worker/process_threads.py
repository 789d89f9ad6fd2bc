"""Threads of the parent that start a worker process and read its messages and log lines."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import threading
from collections import deque
from concurrent.futures import Future
from typing import TypeAlias

from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.worker.environment import worker_environment
from ptychopinn_plugin.worker.messages import Message, read_message
from ptychopinn_plugin.worker.shared_memory import SharedMemory

logger = logging.getLogger(__name__)

# How long a process that was asked to leave, or closed its pipe, has before it is killed.
LEAVING_SECONDS = 0.3

Process: TypeAlias = subprocess.Popen[bytes]
# None follows the last message.
Messages: TypeAlias = queue.SimpleQueue[Message | None]


def start_and_read(
    command: list[str],
    memory: SharedMemory | None,
    started: Future[Process],
    messages: Messages,
    writing: threading.Lock,
) -> None:
    """Start a worker, queue its messages until it ends, reap it.

    Args:
        command: starts the worker.
        memory: inherited by the worker.
        started: receives the process, or the WorkerError why there is none.
        messages: receives the worker's messages, then None.
        writing: held by whoever writes to the worker.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=worker_environment(),
            pass_fds=() if memory is None else (memory.descriptor,),
            # Ctrl-C in a terminal goes to all processes of a session; the parent handles it.
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
            while (message := read_message(process.stdout)) is not None:
                messages.put(message)
    except (OSError, ValueError, WorkerError):
        logger.exception('The stream of the worker is damaged; it is ended')
    finally:
        _reap(process)
        messages.put(None)
        with contextlib.suppress(OSError), writing:
            process.stdin.close()


def keep_lines(process: Process, lines: deque[str]) -> None:
    """Keep the last lines that a process writes to standard error."""
    assert process.stderr is not None
    with process.stderr as stream:
        for line in stream:
            text = line.decode(errors='replace').rstrip()
            lines.append(text)
            logger.debug('worker: %s', text)


def _reap(process: Process) -> None:
    """Wait for a process whose output has ended; kill it if it does not end."""
    try:
        process.wait(LEAVING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
