"""The worker process; `RemoteEngine` starts it."""

from __future__ import annotations

import argparse
import os
import signal
from typing import TYPE_CHECKING, BinaryIO

from ptychopinn_plugin.parent_process import end_with_parent

if TYPE_CHECKING:
    from ptychopinn_plugin.backends.protocol import Engine
    from ptychopinn_plugin.config import ExecutionConfig


def main() -> None:
    """Do the parent's jobs until it ends or had none for a while."""
    parser = argparse.ArgumentParser(prog='ptychopinn_plugin.worker', description=__doc__)
    parser.add_argument('--parent', type=int, required=True, help='process to end with')
    parser.add_argument('--idle-seconds', type=float, required=True)
    parser.add_argument('--pipes', type=int, nargs=2, help='inherited: requests, answers')
    parser.add_argument('--shared-memory', type=int, help='inherited descriptor of shared memory')
    parser.add_argument('--engine', help='module:Class of an engine in place of the backend')
    options = parser.parse_args()
    # Ctrl-C is for the parent to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(options.parent)
    requests, answers = open_pipes(options.pipes) if options.pipes else take_streams()
    # Imports may print, so they come after the streams are taken.
    from ptychopinn_plugin.worker.relay import MessageWriter
    from ptychopinn_plugin.worker.server import Server
    from ptychopinn_plugin.worker.shared_memory import SharedMemory

    memory = None if options.shared_memory is None else SharedMemory(options.shared_memory)

    def make_engine(execution: ExecutionConfig) -> Engine:
        return find_engine_class(execution, options.engine)(execution)

    Server(requests, MessageWriter(answers), memory, make_engine).serve(options.idle_seconds)
    # Without the frameworks' own clean-up, which takes long; there is nothing to save.
    os._exit(0)


def open_pipes(descriptors: list[int]) -> tuple[BinaryIO, BinaryIO]:
    """Return the inherited pipes to the parent; no program that this process starts gets them."""
    requests, answers = descriptors
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return os.fdopen(requests, 'rb'), os.fdopen(answers, 'wb')


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return standard input and output as the pipes; redirect later output to standard error.

    This is for systems where a process inherits no other pipes.
    """
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, 'rb'), os.fdopen(answers, 'wb')


def find_engine_class(execution: ExecutionConfig, path: str | None) -> type[Engine]:
    """Return the class of the backend's engine, or the one at `module:Class`."""
    from ptychopinn_plugin.backends import engine_class

    if path is None:
        return engine_class(execution.backend)
    import importlib

    module, _, name = path.partition(':')
    found: type[Engine] = getattr(importlib.import_module(module), name)
    return found


if __name__ == '__main__':
    main()
