"""How the optimiser's steps are sized, the same for every backend."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ptychopinn_plugin.config import ExecutionConfig

WEIGHT_DECAY = 1e-4
WARM_UP_STEPS = 60
# Where the learning rate ends, relative to its peak.
LAST_FACTOR = 0.01
# On a plateau of this many epochs the rate is halved.
PLATEAU_EPOCHS, PLATEAU_FACTOR = 3, 0.5


@dataclass(eq=False)
class Schedule:
    """The learning rate of every step, as the execution config says.

    Attributes:
        course: 'Exponential', 'WarmupCosine' or 'ReduceLROnPlateau'.
        peak: the greatest learning rate.
        total: steps planned.
        reduction: by plateaus so far.
        waited: epochs since the best one or the last reduction.
        best: the least validation loss so far.
    """

    course: str
    peak: float
    total: int
    reduction: float = 1.0
    waited: int = 0
    best: float = math.inf

    @classmethod
    def of(cls, execution: ExecutionConfig, total: int, *, rate: float, course: str) -> Schedule:
        """Return what the config asks for.

        Args:
            execution: the config.
            total: steps planned.
            rate: the architecture's own learning rate.
            course: the architecture's own.
        """
        own = execution.scheduler == 'Default'
        return cls(
            course if own else execution.scheduler, execution.learning_rate or rate, max(total, 1)
        )

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        done = min(step / self.total, 1.0)
        if self.course == 'ReduceLROnPlateau':
            return self.peak * self.reduction
        if self.course == 'Exponential':
            return self.peak * math.pow(LAST_FACTOR, done)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        warm_up = min(1.0, (step + 1) / min(WARM_UP_STEPS, self.total))
        return self.peak * warm_up * ((1 - LAST_FACTOR) * cosine + LAST_FACTOR)

    def epoch_ended(self, validation: float) -> None:
        """Hear of an epoch's validation loss; a resumed training tells all earlier ones again."""
        self.waited = 0 if validation < self.best else self.waited + 1
        self.best = min(self.best, validation)
        if self.waited >= PLATEAU_EPOCHS:
            self.reduction *= PLATEAU_FACTOR
            self.waited = 0


def stage_schedule(execution: ExecutionConfig, steps: int) -> Schedule:
    """Return the schedule of the `unrolled` architecture's stage; a step is an episode."""
    return Schedule.of(execution, steps, rate=2e-3, course='WarmupCosine')


def cnn_schedule(execution: ExecutionConfig, steps: int, *, supervised: bool = False) -> Schedule:
    """Return the schedule of the `cnn` architecture; a step is a batch of groups.

    At 1e-3 a training on known objects ends at the mean object, and one on frames learns less.
    """
    rate = 3e-4 if supervised else 4e-4
    return Schedule.of(execution, steps, rate=rate, course='WarmupCosine')
