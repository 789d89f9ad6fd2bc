"""What a running job may ask of its host and tell it."""

from __future__ import annotations

from typing import Protocol


class HostTasks(Protocol):
    """The host of a running reconstruction or training."""

    def should_stop(self) -> bool:
        """Say whether the user pressed Stop or closed Ptychodus."""
        ...

    def report(self, step: int, total: int) -> None:
        """Move the progress bar."""
        ...


class NoHost:
    """A reconstructor that was made by hand: nobody stops it, nobody watches it."""

    def should_stop(self) -> bool:
        """Never."""
        return False

    def report(self, step: int, total: int) -> None:
        """Move nothing."""
