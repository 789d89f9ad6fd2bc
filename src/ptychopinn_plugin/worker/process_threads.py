"""Threads of the parent that start a worker process, write to it, and read what it writes."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from typing import BinaryIO, TypeAlias

from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.worker.messages import Buffer, Message, read_message
from ptychopinn_plugin.worker.process_pipes import Process, StartedWorker, start_worker
from ptychopinn_plugin.worker.shared_memory import SharedMemory

logger = logging.getLogger(__name__)

# How long a process that was asked to leave, or closed its pipe, has before it is killed.
LEAVING_SECONDS = 0.3
# Bytes; a library that prints without line ends must not fill the memory.
LONGEST_LINE = 10_000

# None follows the last message, and before it the reason where the stream was damaged.
Messages: TypeAlias = queue.SimpleQueue[Message | WorkerError | None]
# Parts of encoded messages; None ends the writing.
Requests: TypeAlias = queue.SimpleQueue[Iterable[Buffer] | None]


def start_and_read(
    command: list[str],
    memory: SharedMemory | None,
    started: Future[StartedWorker],
    requests: Requests,
    messages: Messages,
) -> None:
    """Start a worker, queue its messages until it ends, reap it.

    Args:
        command: starts the worker.
        memory: inherited by the worker.
        started: receives the worker, or the WorkerError why there is none.
        requests: receives None when the worker has ended.
        messages: receives the worker's messages, then None.
    """
    try:
        worker = start_worker(command, memory)
    except (OSError, ValueError) as error:
        started.set_exception(WorkerError(f'no worker process can be started: {error}'))
        return
    started.set_result(worker)
    try:
        with worker.answers as stream:
            while (message := read_message(stream)) is not None:
                messages.put(message)
    except WorkerError as error:
        messages.put(error)
    except (OSError, ValueError) as error:
        messages.put(WorkerError(f'the stream of the worker is damaged ({error}); run again'))
    finally:
        _reap(worker.process)
        messages.put(None)
        requests.put(None)


def write_requests(stream: BinaryIO, requests: Requests) -> None:
    """Write queued messages to a worker.

    No caller waits for this: the pipe of a worker that does not read is full after 64 kB, and a
    stop has to come through all the same. A write ends when the worker is killed.
    """
    with contextlib.suppress(OSError), stream:
        while (parts := requests.get()) is not None:
            for part in parts:
                view = memoryview(part)
                while len(view):
                    view = view[stream.write(view) :]


def keep_lines(stream: BinaryIO, lines: deque[str]) -> None:
    """Keep the last lines that a worker and its libraries print."""
    with stream:
        while line := stream.readline(LONGEST_LINE):
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
