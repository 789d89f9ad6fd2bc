"""The worker process; `RemoteEngine` starts it, nobody else needs to."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from ptychopinn_plugin.backends.protocol import Engine
    from ptychopinn_plugin.config import ExecutionConfig

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve the parent until it ends or has had nothing to do for a while."""
    parser = argparse.ArgumentParser(prog='ptychopinn_plugin.worker', description=__doc__)
    parser.add_argument('--parent', type=int, required=True, help='process to live for')
    parser.add_argument('--idle-seconds', type=float, required=True)
    parser.add_argument('--arena', type=int, help='inherited descriptor of shared memory')
    parser.add_argument('--engine', help='module:Class of an engine in place of the backend')
    options = parser.parse_args()
    leave_with(options.parent)
    requests, answers = take_streams()
    # Only now may anything be imported that might print.
    from ptychopinn_plugin.worker.relay import Outlet
    from ptychopinn_plugin.worker.server import Server
    from ptychopinn_plugin.worker.shared_memory import Arena

    arena = None if options.arena is None else Arena(options.arena)

    def make_engine(execution: ExecutionConfig) -> Engine:
        return engine_kind(execution, options.engine)(execution)

    Server(requests, Outlet(answers), arena, make_engine).serve(options.idle_seconds)
    # Frameworks take their time to leave, and there is nothing to save.
    os._exit(0)


def leave_with(parent: int) -> None:
    """Let the system end this process with its parent, where it can; ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.name == 'posix' and os.getppid() != parent:
        os._exit(1)


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes to the parent, and point what others print at standard error."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, 'rb'), os.fdopen(answers, 'wb')


def engine_kind(execution: ExecutionConfig, named: str | None) -> type[Engine]:
    """Return the engine's class: that of the backend, unless another was named."""
    from ptychopinn_plugin.backends import engine_class

    if named is None:
        return engine_class(execution.backend)
    import importlib

    module, _, name = named.partition(':')
    kind: type[Engine] = getattr(importlib.import_module(module), name)
    return kind


if __name__ == '__main__':
    main()
