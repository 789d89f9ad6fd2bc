"""The running Ptychodus: asked for a stop, told of progress."""

from __future__ import annotations

from typing import Any


class PtychodusTasks:
    """The task monitor and the task manager of a running Ptychodus.

    Args:
        task_monitor: of its processing room.
        task_manager: runs its background tasks.
    """

    def __init__(self, task_monitor: Any, task_manager: Any) -> None:  # noqa: ANN401
        self._monitor = task_monitor
        self._manager = task_manager

    def should_stop(self) -> bool:
        """Say whether the user pressed Stop or closed Ptychodus while a task runs."""
        # Both flags outlive their task; they mean nothing to a call from a script.
        return bool(
            self._monitor.is_processing and (self._monitor.is_stopping or self._manager.is_stopping)
        )

    def report(self, step: int, total: int) -> None:
        """Move the progress bar, if a task runs."""
        if self._monitor.is_processing:
            self._monitor.update_progress(step, total)
