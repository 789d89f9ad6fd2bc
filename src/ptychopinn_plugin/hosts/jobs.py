"""A blocking engine call as a generator: run in a thread, its events yielded to the host."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator
from typing import Generic, TypeAlias, TypeVar

from ptychopinn_plugin.hosts.host_tasks import HostTasks
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction

Output = TypeVar('Output')
Result = TypeVar('Result')
Event: TypeAlias = Progress | Reconstruction

SECONDS_BETWEEN_REPORTS = 0.2
THREAD_NAME = 'ptychopinn job'


def run_job(
    work: Callable[[Monitor], Result],
    tasks: HostTasks,
    convert: Callable[[Event], Output | None],
    *,
    preview_seconds: float | None = None,
) -> Generator[Output, None, Result]:
    """Run a blocking call in a thread and yield what becomes of its events.

    Closing the generator, as any other way to leave it early, stops the call and waits for its end.

    Args:
        work: the call; it passes the monitor on to an engine.
        tasks: the host, asked for a stop and informed of the progress.
        convert: called with every step and every preview, in the thread that runs the generator;
            its return value is yielded unless it is None.
        preview_seconds: least time from one preview, shown by the host, to the next, and from the
            first step to the first preview; None for no previews.

    Yields:
        The values of `convert`.

    Returns:
        What the call returned, as the value of `yield from`.

    Raises:
        Exception: whatever the call raised.
    """
    monitor = _QueueMonitor(tasks, preview_seconds)
    call = _ThreadedCall(work, monitor)
    try:
        while (event := monitor.events.get()) is not None:
            output = convert(event)
            if output is not None:
                yield output
            if isinstance(event, Reconstruction):
                monitor.hold_previews()
                tasks.call_when_shown(monitor.allow_previews)
    finally:
        monitor.abandoned.set()
        call.thread.join()
    return call.result()


class _ThreadedCall(Generic[Result]):
    """Runs a call in a thread and keeps what it returned or raised."""

    def __init__(self, work: Callable[[Monitor], Result], monitor: _QueueMonitor) -> None:
        self._work = work
        self._monitor = monitor
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self.thread.start()

    def result(self) -> Result:
        """Return what the call returned, or raise what it raised; after the thread has ended."""
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work(self._monitor))
        except BaseException as error:  # noqa: BLE001  (raised again by `result`)
            self._error = error
        finally:
            self._monitor.events.put(None)


class _QueueMonitor(Monitor):
    """Queues the events of a call and forwards the host's requests.

    Attributes:
        events: steps and previews, None after the last.
        abandoned: set when nobody takes the events any more, which stops the call.
    """

    def __init__(self, tasks: HostTasks, preview_seconds: float | None) -> None:
        self.events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.abandoned = threading.Event()
        self._tasks = tasks
        self._preview_seconds = preview_seconds
        self._last_report = time.monotonic()
        self._last_preview: float | None = None
        self._is_showing = False

    def on_progress(self, progress: Progress) -> None:
        """Queue a step; move the host's progress bar at most every 0.2 s and at the end."""
        now = time.monotonic()
        if self._last_preview is None:
            self._last_preview = now  # before the first step a framework may have been imported
        last = progress.step >= progress.total
        if last or now - self._last_report >= SECONDS_BETWEEN_REPORTS:
            self._last_report = now
            self._tasks.report(progress.step, progress.total)
        self.events.put(progress)

    def should_stop(self) -> bool:
        """Return whether the user requested a stop or the generator was closed."""
        return self.abandoned.is_set() or self._tasks.should_stop()

    def wants_preview(self) -> bool:
        """Return whether the last preview was shown at least `preview_seconds` ago."""
        if self._preview_seconds is None or self._last_preview is None or self._is_showing:
            return False
        return time.monotonic() - self._last_preview >= self._preview_seconds

    def on_preview(self, reconstruction: Reconstruction) -> None:
        """Queue a preview."""
        self._last_preview = time.monotonic()
        self.events.put(reconstruction)

    def hold_previews(self) -> None:
        """Request no further preview until `allow_previews`: the host is still drawing the last."""
        self._is_showing = True

    def allow_previews(self) -> None:
        """Count the time to the next preview from now, so that a window has time for its user."""
        self._last_preview = time.monotonic()
        self._is_showing = False
