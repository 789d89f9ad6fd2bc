"""Several processes, each with an engine of its own, that take scans from one queue."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection
from multiprocessing.connection import Connection

from ptychopinn_plugin.cli.batch.records import ScanRecord
from ptychopinn_plugin.cli.batch.scan_worker import ScanWorker
from ptychopinn_plugin.cli.batch.tasks import ScanTask
from ptychopinn_plugin.cli.options import Batch
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.parent_process import end_with_parent

# How often a stop is looked for while all processes compute.
SECONDS_BETWEEN_LOOKS = 0.2
# How long a process without work has to end before it is killed.
LEAVING_SECONDS = 5.0
# Not fork: threads and devices of a framework do not survive it.
_CONTEXT = multiprocessing.get_context('spawn')


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_of_threads(execution: ExecutionConfig, jobs: int) -> ExecutionConfig:
    """Return the config of one of several processes, which share the CPU threads."""
    share = max(1, (execution.threads or cores()) // jobs)
    return execution.model_copy(update={'threads': share}) if jobs > 1 else execution


def run_in_processes(
    tasks: Iterable[ScanTask],
    jobs: int,
    batch: Batch,
    execution: ExecutionConfig,
    stopped: Callable[[], bool],
) -> Iterator[tuple[ScanTask, ScanRecord]]:
    """Reconstruct scans in several processes.

    Args:
        tasks: the scans.
        jobs: number of processes.
        batch: the flags.
        execution: for each process.
        stopped: whether to stop: the scans that are being reconstructed are given up.

    Yields:
        Each scan with its record, in the order they end. A process that is killed is one scan that
        failed; another process takes its place.
    """
    waiting = deque(tasks)
    with contextlib.ExitStack() as stack:
        places = [_Place(batch, execution) for _ in range(min(jobs, len(waiting)))]
        for place in places:
            stack.callback(place.end)
        while not stopped():
            for place in places:
                if place.task is None and waiting:
                    place.start(waiting.popleft())
            busy = {place.answers: place for place in places if place.task is not None}
            if not busy:
                return
            for ready in connection.wait(busy, SECONDS_BETWEEN_LOOKS):
                yield busy[ready].take_record()  # type: ignore[index]


class _Place:
    """A process and the scan that it has; a process that ended is replaced."""

    def __init__(self, batch: Batch, execution: ExecutionConfig) -> None:
        self.task: ScanTask | None = None
        self._batch = batch
        self._execution = execution
        self._start_process()

    @property
    def answers(self) -> Connection:
        """Ready to be read when the scan is done or the process has ended."""
        return self._connection

    def start(self, task: ScanTask) -> None:
        """Give the process a scan."""
        if not self._process.is_alive():
            self.end()
            self._start_process()
        self.task = task
        with contextlib.suppress(OSError):  # that it has ended is seen at `take_record`
            self._connection.send(task)

    def take_record(self) -> tuple[ScanTask, ScanRecord]:
        """Return the scan and what came of it, once `answers` is ready.

        Raises:
            OutputError: its record or log cannot be written.
        """
        task, self.task = self.task, None
        assert task is not None  # only busy places are waited for
        try:
            answer: ScanRecord | OutputError = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            answer = ScanRecord.failed(
                task.name, task.scan, task.origin(self._batch), self._why_it_ended()
            )
            answer.save(task.record)
        if isinstance(answer, OutputError):
            raise answer
        return task, answer

    def end(self) -> None:
        """End the process: at once if it has a scan."""
        with contextlib.suppress(OSError):
            self._connection.close()
        if self.task is None:
            self._process.join(LEAVING_SECONDS)
        self._process.kill()
        self._process.join()

    def _start_process(self) -> None:
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=serve, args=(theirs, self._batch, self._execution, os.getpid()), daemon=True
        )
        self._process.start()
        # Else the end of the process would not be seen here.
        theirs.close()

    def _why_it_ended(self) -> str:
        code = self._process.exitcode or 0
        if code < 0:
            name = signal.Signals(-code).name
            return (
                f'its process was ended by {name}; if that was for want of memory, use fewer jobs'
            )
        return f'its process ended with exit code {code}'


def serve(tasks: Connection, batch: Batch, execution: ExecutionConfig, parent: int) -> None:
    """Reconstruct the scans that come through a pipe, until it is closed.

    Args:
        tasks: gives `ScanTask` and takes `ScanRecord`, or the error of one that cannot be written.
        batch: the flags.
        execution: of the engine.
        parent: number of the process that started this one.
    """
    end_with_parent(parent)
    # Ctrl-C in a terminal is sent to all processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = ScanWorker(batch, execution)
    with contextlib.suppress(EOFError):
        while True:
            task: ScanTask = tasks.recv()
            try:
                answer: ScanRecord | OutputError = worker.run(task, Monitor())
            except OutputError as error:
                answer = error
            tasks.send(answer)
