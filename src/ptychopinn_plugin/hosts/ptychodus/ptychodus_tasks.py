"""The running Ptychodus as the host of a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class TaskMonitor(Protocol):
    """The used part of `ptychodus.model.processing.monitor.ProcessingTaskMonitor`."""

    @property
    def is_processing(self) -> bool:
        """Whether a task runs."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether the user pressed Stop, also before the present task."""
        ...

    def update_progress(self, progress: int, progress_goal: int) -> None:
        """Move the progress bar."""
        ...


class TaskManager(Protocol):
    """The used part of `ptychodus.model.task_manager.TaskManager`."""

    @property
    def is_stopping(self) -> bool:
        """Whether Ptychodus is being closed."""
        ...

    def put_foreground_task(self, task: Callable[[], None]) -> None:
        """Run a function in the thread of the window, after those put before."""
        ...


class PtychodusTasks:
    """The task monitor and the task manager of a running Ptychodus.

    Attributes:
        has_window: whether a window shows the products of a running task.

    Args:
        task_monitor: of its processing view.
        task_manager: runs its background tasks.
    """

    def __init__(self, task_monitor: TaskMonitor, task_manager: TaskManager) -> None:
        self._monitor = task_monitor
        self._manager = task_manager
        self.has_window = False

    def should_stop(self) -> bool:
        """Return whether the user pressed Stop or closed Ptychodus while a task runs."""
        # Both flags outlive their task; they mean nothing to a call from a script.
        return self._monitor.is_processing and (
            self._monitor.is_stopping or self._manager.is_stopping
        )

    def report(self, step: int, total: int) -> None:
        """Move the progress bar, if a task runs."""
        if self._monitor.is_processing:
            self._monitor.update_progress(step, total)

    def call_when_shown(self, call: Callable[[], None]) -> None:
        """Call a function after the window has drawn the product that it was given.

        Without a window, tasks of its thread wait for the end of the run, and nothing is drawn.
        """
        if self.has_window:
            self._manager.put_foreground_task(call)
        else:
            call()
