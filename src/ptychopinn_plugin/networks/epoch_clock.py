"""Estimate of the time that a training still takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class EpochClock:
    """The seconds that an epoch takes, from the last one.

    Attributes:
        ended: seconds after which the last epoch ended.
        epoch: seconds that the next one is expected to take; None before the first one ended.
    """

    ended: float = 0.0
    epoch: float | None = None

    def end_epoch(self, seconds: float, preparation: float) -> None:
        """Take the duration of an epoch.

        Args:
            seconds: since the beginning.
            preparation: seconds of the first epoch whose results later ones use again.
        """
        first = self.epoch is None
        self.epoch = seconds - self.ended - (preparation if first else 0.0)
        self.ended = seconds

    def seconds_left(self, epochs_done: float, epochs: int, seconds: float) -> float | None:
        """Return the seconds to come; None within the first epoch.

        Args:
            epochs_done: with the part of this one.
            epochs: planned.
            seconds: since the beginning.
        """
        if self.epoch is None:
            return None
        whole = int(epochs_done)
        this = max(self.epoch - (seconds - self.ended), 0.0) if epochs_done > whole else 0.0
        return this + self.epoch * (epochs - whole - (epochs_done > whole))
