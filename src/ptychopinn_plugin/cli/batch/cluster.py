"""Scans of a batch on the nodes of a cluster, through Parsl (https://parsl-project.org).

Babuji et al., "Parsl: pervasive parallel programming in Python", HPDC 2019,
doi:10.1145/3307681.3325400.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ptychopinn_plugin.cli.batch.processes import SECONDS_BETWEEN_LOOKS
from ptychopinn_plugin.cli.batch.records import ScanRecord
from ptychopinn_plugin.cli.batch.scan_worker import ScanWorker
from ptychopinn_plugin.cli.batch.tasks import ScanTask
from ptychopinn_plugin.cli.options import Batch
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import UnavailableError
from ptychopinn_plugin.io.reading_errors import describe
from ptychopinn_plugin.monitor import Monitor

if TYPE_CHECKING:
    from parsl.config import Config

# The name of the configuration in its file, as in the pages of Parsl.
CONFIG = 'config'


def run_on_cluster(
    tasks: Iterable[ScanTask],
    config: Config,
    batch: Batch,
    execution: ExecutionConfig,
    stopped: Callable[[], bool],
) -> Iterator[tuple[ScanTask, ScanRecord]]:
    """Reconstruct scans by the workers of Parsl, which keep one engine each.

    Args:
        tasks: the scans; their files are on a file system that all nodes have.
        config: where and how the workers run.
        batch: the flags.
        execution: for each worker.
        stopped: whether to stop: the scans that are being reconstructed are given up, and the jobs
            of the cluster cancelled.

    Yields:
        Each scan with its record, in the order they end. A worker that is lost is one scan that
        failed, unless the configuration has retries.
    """
    import parsl

    flags, settings = batch.model_dump_json(exclude_unset=True), execution.model_dump_json()
    place = str(Path.cwd())
    # Parsl starts its own programs by their names, also where no environment is activated.
    beside = str(Path(sys.executable).parent)
    os.environ['PATH'] = os.pathsep.join([beside, os.environ.get('PATH', os.defpath)])
    # At the end of the block all jobs of the cluster are cancelled.
    with parsl.load(config) as kernel:
        app = parsl.python_app(reconstruct_on_node, data_flow_kernel=kernel, cache=False)
        running = {app(flags, settings, task, place): task for task in tasks}
        while running and not stopped():
            done, _ = wait(running, SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                yield task, _record(future, task, batch)


def reconstruct_on_node(flags: str, settings: str, task: ScanTask, place: str) -> ScanRecord:
    """Reconstruct one scan in a worker.

    Args:
        flags: of the batch, as JSON.
        settings: of the engine, as JSON.
        task: the scan.
        place: the folder that its paths are relative to.
    """
    with contextlib.chdir(place):
        return _worker(os.getpid(), flags, settings).run(task, Monitor())


def load_config(path: Path) -> Config:
    """Return the configuration of a Python file, its `config`.

    Raises:
        UnavailableError: Parsl is not installed.
        UsageError: the file cannot be run, or has no such configuration.
    """
    if find_spec('parsl') is None:
        raise UnavailableError(
            '--parsl needs the package parsl, which is not installed; install it with: '
            "pip install 'ptychopinn-plugin[cluster]'"
        )
    from parsl.config import Config

    try:
        found = runpy.run_path(str(path)).get(CONFIG)
    except Exception as error:
        raise UsageError(f'{path} cannot be run ({describe(error)})') from error
    if not isinstance(found, Config):
        raise UsageError(
            f'{path} must give a variable {CONFIG!r} that is a parsl.config.Config, as in '
            'docs/many-scans.md'
        )
    return found


@functools.lru_cache(maxsize=1)
def _worker(process: int, flags: str, settings: str) -> ScanWorker:
    """Return the worker of a process, made for its first scan and kept for the others."""
    # Not `model_validate_json`: it refuses the defaults that are paths.
    return ScanWorker(
        Batch.model_validate(json.loads(flags)),
        ExecutionConfig.model_validate(json.loads(settings)),
    )


def _record(future: Future[ScanRecord], task: ScanTask, batch: Batch) -> ScanRecord:
    """Return what came of a scan, also where its worker was lost."""
    error = future.exception()
    if error is None:
        return future.result()
    reason = f'its worker on the cluster was lost or failed ({describe(error)})'
    record = ScanRecord.failed(task.name, task.scan, task.origin(batch), reason)
    record.save(task.record)
    return record
