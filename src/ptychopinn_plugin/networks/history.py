"""History of a training: its losses, its best weights, and the progress reported of it."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import TrainingConfig
from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.errors import Cancelled, DivergenceError
from ptychopinn_plugin.io.model_file import (
    Manifest,
    TrainedModel,
    TrainingExample,
    weights_fingerprint,
)
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.epoch_clock import EpochClock
from ptychopinn_plugin.networks.weight_arrays import Weights

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class TrainingHistory:
    """Losses and best weights of one training.

    Attributes:
        monitor: gets the progress of every step and, if it wants them, the better models.
        manifest: of the model, without the fingerprint of its weights.
        probe: complex64 (modes, N, N), of the first scan.
        steps_per_epoch: 0 for those of the config.
        metric: the loss by which the best epoch is chosen.
        weights: all arrays of the best epoch's model file, None before the first epoch.
        best: loss of the best epoch.
        losses: (training, validation) of every epoch.
        example: of the best epoch's network.
    """

    monitor: Monitor
    manifest: Manifest
    probe: npt.NDArray[np.complex64]
    steps_per_epoch: int = 0
    metric: Literal['val_loss', 'train_loss'] = 'val_loss'
    weights: Weights | None = None
    best: float = math.inf
    losses: list[tuple[float, float]] = field(default_factory=list)
    example: TrainingExample | None = None
    started: float = field(default_factory=time.perf_counter)
    _clock: EpochClock = field(default_factory=EpochClock)

    @property
    def config(self) -> TrainingConfig:
        """The training's config."""
        return self.manifest.training

    def __post_init__(self) -> None:
        """Take the config's steps where none are given."""
        self.steps_per_epoch = self.steps_per_epoch or self.config.steps_per_epoch

    @property
    def started_better(self) -> bool:
        """Whether no epoch was better than the network that the training began with."""
        column = int(self.metric == 'val_loss')
        return self.weights is not None and all(self.best < each[column] for each in self.losses)

    def begin(
        self, validation_loss: float, weights: Weights, example: TrainingExample | None
    ) -> None:
        """Keep the network that is trained further, as long as no epoch is better.

        Args:
            validation_loss: of that network.
            weights: all arrays of its model file.
            example: what it does to an object.
        """
        _check_finite(validation_loss, 'the validation loss before the first epoch')
        logger.info('Before the first epoch: validation loss %.4g', validation_loss)
        if self.metric == 'val_loss':
            self.best, self.weights, self.example = validation_loss, weights, example

    def add_step(self, epoch: int, index: int, loss: float) -> None:
        """Report a step.

        Args:
            epoch: its number from 0.
            index: of the episode or batch within the epoch, from 0.
            loss: of the step.

        Raises:
            DivergenceError: the loss is not finite.
        """
        _check_finite(loss, f'the loss of step {index + 1} of epoch {epoch + 1}')
        self._report(epoch * self.steps_per_epoch + index + 1, loss, None)

    def add_epoch(
        self,
        epoch: int,
        losses: Sequence[float],
        validation_loss: float,
        weights: Callable[[], Weights],
        *,
        example: TrainingExample | None = None,
        preparation: float = 0.0,
    ) -> None:
        """Keep the losses of an epoch, and its weights if it is the best one so far.

        Args:
            epoch: its number from 0.
            losses: of its steps.
            validation_loss: on held-out frames.
            weights: returns copies of all arrays of the model file; called for a better epoch only.
            example: what the network does to an object now.
            preparation: seconds of the epochs so far whose results later ones use again.

        Raises:
            DivergenceError: the validation loss is not finite; the epoch is not added.
        """
        _check_finite(validation_loss, f'the validation loss of epoch {epoch + 1}')
        loss = float(np.mean(losses)) if losses else math.nan
        self.losses.append((loss, validation_loss))
        compared = validation_loss if self.metric == 'val_loss' else loss
        is_better = compared < self.best
        if is_better:
            self.best, self.weights, self.example = compared, weights(), example
        self._clock.end_epoch(time.perf_counter() - self.started, preparation)
        self._report((epoch + 1) * self.steps_per_epoch, *self.losses[-1])
        if is_better and self.monitor.wants_models():
            self.monitor.on_better_model(self.best_model())

    def epochs_without_improvement(self) -> int:
        """Return how many epochs have passed since the best one, or the beginning if better."""
        if self.started_better:
            return len(self.losses)
        return len(self.losses) - 1 - self.rank_epochs()[0]

    def gains_nothing(self, patience: int) -> bool:
        """Return whether as many epochs as `patience` have passed without improvement; log it."""
        idle = self.epochs_without_improvement() >= patience
        if idle and len(self.losses) < self.config.epochs:
            logger.info(
                'The training ends after %s: the loss has not improved for %d of them',
                counted(len(self.losses), 'epoch'),
                self.epochs_without_improvement(),
            )
        return idle

    def rank_epochs(self) -> list[int]:
        """Return the numbers of all epochs, the best one first."""
        column = int(self.metric == 'val_loss')
        return sorted(range(len(self.losses)), key=lambda epoch: self.losses[epoch][column])

    def loss_array(self) -> npt.NDArray[np.float64]:
        """Return the losses, float64 (epochs, 2)."""
        return np.asarray(self.losses, np.float64).reshape(-1, 2)

    def best_model(self) -> TrainedModel:
        """Return the best epoch's model."""
        model = TrainedModel(
            self.weights or {}, self.probe, self.loss_array(), self.manifest, self.example
        )
        fingerprint = weights_fingerprint(model)
        manifest = self.manifest.model_copy(update={'weights_fingerprint': fingerprint})
        return dataclasses.replace(model, manifest=manifest)

    def keep_best(self, stop: Exception) -> None:
        """Let a training that ended early give its best model so far.

        Args:
            stop: why it ended; raised where no epoch was done. All but a request is logged.
        """
        if not self.losses:
            raise stop
        if not isinstance(stop, Cancelled):
            best = f'epoch {self.rank_epochs()[0] + 1}'
            if self.started_better:
                best = 'the beginning'
            logger.warning('%s. The training ends here; the model is that of %s', stop, best)

    def _report(self, step: int, loss: float, validation_loss: float | None) -> None:
        total = self.steps_per_epoch * self.config.epochs
        seconds = time.perf_counter() - self.started
        left = self._clock.seconds_left(step / self.steps_per_epoch, self.config.epochs, seconds)
        self.monitor.on_progress(
            Progress('train', step, total, loss, validation_loss, seconds, left)
        )


def _check_finite(loss: float, name: str) -> None:
    """Refuse a loss after which every weight would be lost."""
    if not math.isfinite(loss):
        raise DivergenceError(
            f'{name} is not finite ({loss}); take a tenth of the learning rate, such as '
            'learning_rate = 0.0001, and keep gradient_clip_val = 1'
        )
