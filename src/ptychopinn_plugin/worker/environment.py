"""Command and environment of the worker process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ptychopinn_plugin.errors import WorkerError

# A thread that has nothing to do spins, by default for milliseconds, to wake sooner. On a machine
# that others use too, spinning threads take the cores from the threads they wait for: a
# reconstruction became twenty times slower. 2000 turns still bridge the gap between two array
# operations. Read by GNU's OpenMP when it is loaded; other OpenMP libraries ignore it.
THREAD_SPIN_LIMIT = {'GOMP_SPINCOUNT': '2000'}


def worker_command(options: list[str]) -> list[str]:
    """Return the command that starts a worker with the Python of this process.

    Raises:
        WorkerError: `sys.executable` is empty.
    """
    if not sys.executable:
        raise WorkerError(
            'no worker process can be started, because sys.executable is empty; '
            'set sys.executable to a Python that has the same packages'
        )
    # -P: no file of the working directory may stand in for a package.
    return [sys.executable, '-P', '-m', 'ptychopinn_plugin.worker', *options]


def worker_environment() -> dict[str, str]:
    """Return the environment of this process, with its sys.path as PYTHONPATH."""
    paths = [path or str(Path.cwd()) for path in sys.path]
    return (
        THREAD_SPIN_LIMIT
        | os.environ
        | {
            'PYTHONPATH': os.pathsep.join(paths),
            # Plugins of pydantic take a third of a second to import and are not needed here.
            'PYDANTIC_DISABLE_PLUGINS': '__all__',
        }
    )
