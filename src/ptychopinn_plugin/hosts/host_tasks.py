"""The interface of a host to a running job: progress bar and Stop button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class HostTasks(Protocol):
    """The host of a running reconstruction or training."""

    def should_stop(self) -> bool:
        """Return whether the user pressed Stop or closed the host."""
        ...

    def report(self, step: int, total: int) -> None:
        """Move the progress bar."""
        ...

    def call_when_shown(self, call: Callable[[], None]) -> None:
        """Call a function once the host has shown what it was given so far."""
        ...


class WithoutProgress:
    """A host whose progress bar stays where it is.

    Args:
        tasks: asked for a stop.
    """

    def __init__(self, tasks: HostTasks) -> None:
        self._tasks = tasks

    def should_stop(self) -> bool:
        """Forward."""
        return self._tasks.should_stop()

    def report(self, step: int, total: int) -> None:
        """Do nothing."""

    def call_when_shown(self, call: Callable[[], None]) -> None:
        """Forward."""
        self._tasks.call_when_shown(call)


class NoHost:
    """Stands for the host of a reconstructor made in a script: no Stop, no progress bar."""

    def should_stop(self) -> bool:
        """Return False."""
        return False

    def report(self, step: int, total: int) -> None:
        """Do nothing."""

    def call_when_shown(self, call: Callable[[], None]) -> None:
        """Call the function at once."""
        call()
