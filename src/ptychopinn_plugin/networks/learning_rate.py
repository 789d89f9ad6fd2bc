"""Learning rate schedules and weight decay, the same for every backend."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig

# A hundredth of PyTorch's default for AdamW.
WEIGHT_DECAY = 1e-4
# The moments of Adam's first steps come from few gradients, so the rate grows linearly at first (Ma
# and Yarats, AAAI 2021, doi:10.48550/arXiv.1910.04209).
WARM_UP_STEPS = 60
# Learning rate at the end of training, relative to its peak.
FINAL_FACTOR = 0.01
# The rate is halved after this many epochs without a better validation loss.
PLATEAU_EPOCHS, PLATEAU_FACTOR = 3, 0.5


@dataclass(eq=False)
class LearningRateSchedule:
    """The learning rate of every step of the optimiser.

    Attributes:
        scheduler: 'Exponential', 'WarmupCosine' or 'ReduceLROnPlateau'.
        peak: the greatest learning rate.
        total_steps: steps planned.
        reduction: factor of the rate from the plateaus so far.
        plateau: epochs since the best one or the last reduction.
        best: the least validation loss so far.
    """

    scheduler: str
    peak: float
    total_steps: int
    reduction: float = 1.0
    plateau: int = 0
    best: float = math.inf

    @classmethod
    def from_config(
        cls, execution: ExecutionConfig, total_steps: int, *, rate: float, scheduler: str
    ) -> LearningRateSchedule:
        """Build the schedule of a config.

        Args:
            execution: the config.
            total_steps: steps planned.
            rate: learning rate of the architecture where the config gives none.
            scheduler: of the architecture, where the config says 'Default'.
        """
        is_default = execution.scheduler == 'Default'
        return cls(
            scheduler if is_default else execution.scheduler,
            execution.learning_rate or rate,
            max(total_steps, 1),
        )

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        progress = min(step / self.total_steps, 1.0)
        if self.scheduler == 'ReduceLROnPlateau':
            return self.peak * self.reduction
        if self.scheduler == 'Exponential':
            return self.peak * math.pow(FINAL_FACTOR, progress)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        warm_up = min(1.0, (step + 1) / min(WARM_UP_STEPS, self.total_steps))
        return self.peak * warm_up * ((1 - FINAL_FACTOR) * cosine + FINAL_FACTOR)

    def end_epoch(self, validation_loss: float) -> None:
        """Count the epochs of a plateau; a resumed training replays all earlier epochs."""
        self.plateau = 0 if validation_loss < self.best else self.plateau + 1
        self.best = min(self.best, validation_loss)
        if self.plateau >= PLATEAU_EPOCHS:
            self.reduction *= PLATEAU_FACTOR
            self.plateau = 0


def unrolled_schedule(
    execution: ExecutionConfig, steps: int, *, pretrained: bool = False
) -> LearningRateSchedule:
    """Return the schedule of the `unrolled` architecture; a step is an episode.

    Args:
        execution: the config.
        steps: planned.
        pretrained: whether a trained network is trained further: larger rates would undo what it
            has learned from many scans.
    """
    rate = 3e-4 if pretrained else 2e-3
    return LearningRateSchedule.from_config(execution, steps, rate=rate, scheduler='WarmupCosine')


def cnn_schedule(
    execution: ExecutionConfig, steps: int, *, rate: float = 4e-4
) -> LearningRateSchedule:
    """Return the schedule of the `cnn` architecture; a step is a batch of groups.

    Args:
        execution: the config.
        steps: planned.
        rate: from `cnn_rate`, where the config gives none.
    """
    return LearningRateSchedule.from_config(execution, steps, rate=rate, scheduler='WarmupCosine')


def cnn_rate(model: ModelConfig, training: TrainingConfig) -> float:
    """Return the learning rate of the `cnn` architecture.

    From amplitudes, at a rate of 1e-3 a supervised training ends at the mean object, and one on the
    frames reaches a larger loss. A network that corrects an object begins near its end, and learns
    at five times their rate.
    """
    if model.network_input == 'back_projection':
        return 2e-3
    if training.training_target == 'reconstruction':
        return 1e-3
    return 3e-4 if model.model_type == 'supervised' else 4e-4
