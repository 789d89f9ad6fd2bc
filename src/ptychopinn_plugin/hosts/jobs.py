"""A call of an engine in a thread, heard of step by step in the thread that asked for it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from ptychopinn_plugin.hosts.tasks import HostTasks
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction

Result = TypeVar('Result')

SECONDS_BETWEEN_REPORTS = 0.2


class Job(Monitor, Generic[Result]):
    """Runs one call of an engine; a context manager that stops it when it is left early.

    Args:
        work: the call, given the monitor to pass on; run in a thread.
        tasks: asked for a stop, told of the progress.
        preview_seconds: least time between two previews, and from the first step to the first
            preview; None for none.
    """

    def __init__(
        self,
        work: Callable[[Monitor], Result],
        tasks: HostTasks,
        *,
        preview_seconds: float | None = None,
    ) -> None:
        self._work = work
        self._tasks = tasks
        self._preview_seconds = preview_seconds
        self._heard: queue.SimpleQueue[Progress | Reconstruction | None] = queue.SimpleQueue()
        self._left = threading.Event()
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._reported = time.monotonic()
        self._previewed: float | None = None
        self._thread = threading.Thread(target=self._run, name='ptychopinn job', daemon=True)

    def events(self) -> Iterator[Progress | Reconstruction]:
        """Yield every step and every preview until the call has ended."""
        while (event := self._heard.get()) is not None:
            yield event

    def result(self) -> Result:
        """Return what the call returned, or raise what it raised; once the events are over."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def on_progress(self, progress: Progress) -> None:
        """Pass a step on; move the host's progress bar now and then."""
        now = time.monotonic()
        if self._previewed is None:
            self._previewed = now  # until now a framework may have been loaded
        last = progress.step >= progress.total
        if last or now - self._reported >= SECONDS_BETWEEN_REPORTS:
            self._reported = now
            self._tasks.report(progress.step, progress.total)
        self._heard.put(progress)

    def should_stop(self) -> bool:
        """Say whether the user asked for a stop or nobody listens any more."""
        return self._left.is_set() or self._tasks.should_stop()

    def wants_preview(self) -> bool:
        """Say whether the last preview is long enough ago."""
        if self._preview_seconds is None or self._previewed is None:
            return False
        return time.monotonic() - self._previewed >= self._preview_seconds

    def on_preview(self, reconstruction: Reconstruction) -> None:
        """Pass a preview on."""
        self._previewed = time.monotonic()
        self._heard.put(reconstruction)

    def __enter__(self) -> Self:
        """Start the call."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask a call that still runs to stop, and wait until it has."""
        self._left.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._results.append(self._work(self))
        except BaseException as error:  # noqa: BLE001  (raised again by `result`)
            self._error = error
        finally:
            self._heard.put(None)
