"""Start of a worker process and the pipes to it, apart from its standard streams."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias, cast

from ptychopinn_plugin.worker.environment import worker_environment
from ptychopinn_plugin.worker.shared_memory import SharedMemory

Process: TypeAlias = subprocess.Popen[bytes]

INHERITS_PIPES = os.name == 'posix'


@dataclass(frozen=True, eq=False)
class StartedWorker:
    """A worker process and the parent's ends of its pipes.

    Attributes:
        process: the worker.
        requests: unbuffered, for messages to the worker: a thread that is in the middle of a write
            holds no lock of it.
        answers: messages of the worker.
        output: what the worker and its libraries print.
    """

    process: Process
    requests: BinaryIO
    answers: BinaryIO
    output: BinaryIO


def start_worker(command: list[str], memory: SharedMemory | None) -> StartedWorker:
    """Start a worker in a session of its own.

    Ctrl-C in a terminal goes to all processes of a session, and the parent handles it.

    Args:
        command: starts it.
        memory: inherited by it.

    Raises:
        OSError: there is no such program, or there are too many processes or files.
    """
    if not INHERITS_PIPES:
        return _start_on_standard_streams(command)
    # Not standard input and output: what a library or a `sitecustomize` prints would be taken for
    # a message.
    request_end, requests = os.pipe()
    answers, answer_end = os.pipe()
    inherited = [request_end, answer_end, *([] if memory is None else [memory.descriptor])]
    try:
        process = subprocess.Popen(
            [*command, '--pipes', str(request_end), str(answer_end)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=worker_environment(),
            pass_fds=inherited,
            start_new_session=True,
        )
    except (OSError, ValueError):
        os.close(requests)
        os.close(answers)
        raise
    finally:
        os.close(request_end)
        os.close(answer_end)
    return StartedWorker(
        process,
        os.fdopen(requests, 'wb', buffering=0),
        os.fdopen(answers, 'rb'),
        cast('BinaryIO', process.stdout),
    )


def _start_on_standard_streams(command: list[str]) -> StartedWorker:
    """Start a worker where a process inherits no other pipes, as on Windows."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=worker_environment(),
        start_new_session=True,
    )
    assert process.stdin is not None
    requests = os.fdopen(os.dup(process.stdin.fileno()), 'wb', buffering=0)
    process.stdin.close()
    return StartedWorker(
        process, requests, cast('BinaryIO', process.stdout), cast('BinaryIO', process.stderr)
    )
