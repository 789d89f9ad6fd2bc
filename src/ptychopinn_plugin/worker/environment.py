"""What the worker process inherits of this one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.worker.thread_waiting import THREAD_WAITING


def worker_command(options: list[str]) -> list[str]:
    """Return the command that starts a worker with this process' Python.

    Raises:
        WorkerError: this process does not know its Python.
    """
    if not sys.executable:
        raise WorkerError(
            'no worker process can be started, for this program does not know its Python '
            '(sys.executable is empty); set sys.executable to one that has the same packages'
        )
    # -P: no file of the working directory may stand in for a package.
    return [sys.executable, '-P', '-m', 'ptychopinn_plugin.worker', *options]


def worker_environment() -> dict[str, str]:
    """Return this process' environment, with its sys.path for the worker."""
    paths = [path or str(Path.cwd()) for path in sys.path]
    return (
        THREAD_WAITING
        | os.environ
        | {
            'PYTHONPATH': os.pathsep.join(paths),
            # Tools that watch pydantic cost a third of a second to start, and have nothing to see.
            'PYDANTIC_DISABLE_PLUGINS': '__all__',
        }
    )
