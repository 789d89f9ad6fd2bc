"""Progress reports of a running reconstruction or training, and requests to stop it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.saved_state import SavedState
from ptychopinn_plugin.scan import Reconstruction


@dataclass(frozen=True)
class Progress:
    """One step of a running job.

    Attributes:
        stage: 'train', 'network' or 'solver'.
        step: number of steps done, from 1.
        total: number of steps planned.
        loss: the residual of the step while reconstructing, the training loss while training.
        validation_loss: loss on held-out frames; None where it was not computed at this step.
        seconds: time since the job began.
        seconds_left: estimate of the time to come if all steps are done; None where it is unknown.
    """

    stage: str
    step: int
    total: int
    loss: float
    validation_loss: float | None = None
    seconds: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True, eq=False)
class Resumption:
    """Where an interrupted reconstruction goes on.

    Attributes:
        state: that `Monitor.on_state` has received.
        changes: the settings that differ from those before, '' where none does.
        passes_differ: whether passes are done differently from now on.
    """

    state: SavedState
    changes: str = ''
    passes_differ: bool = False


class Monitor:
    """Callbacks of a running job, called from the thread that called the engine.

    Subclass it and override what is needed; by default nothing is reported, no preview and no model
    is requested, and the job is never stopped.
    """

    def on_progress(self, progress: Progress) -> None:
        """Report one step."""

    def should_stop(self) -> bool:
        """Return whether the job is to stop; called several times a step."""
        return False

    def wants_preview(self) -> bool:
        """Return whether to compute a preview now; called after every step but the last."""
        return False

    def on_preview(self, reconstruction: Reconstruction) -> None:
        """Receive the present state of the reconstruction."""

    def wants_models(self) -> bool:
        """Return whether to call `on_better_model`; called after every epoch that improved."""
        return False

    def on_better_model(self, model: TrainedModel) -> None:
        """Receive the best model of the training so far."""

    def wants_state(self, *, last: bool) -> bool:
        """Return whether to call `on_state` now; called after every pass of a reconstruction.

        Args:
            last: whether it was the last pass.
        """
        return False

    def on_state(self, state: SavedState) -> None:
        """Receive the state of the reconstruction, from which it could go on."""

    def resumption(self) -> Resumption | None:
        """Return where the reconstruction goes on, None for the beginning; called before it."""
        return None


class ForwardingMonitor(Monitor):
    """Forwards every call; base of monitors that change some of them.

    Args:
        monitor: receives every call.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def on_progress(self, progress: Progress) -> None:
        """Forward."""
        self._monitor.on_progress(progress)

    def should_stop(self) -> bool:
        """Forward."""
        return self._monitor.should_stop()

    def wants_preview(self) -> bool:
        """Forward."""
        return self._monitor.wants_preview()

    def on_preview(self, reconstruction: Reconstruction) -> None:
        """Forward."""
        self._monitor.on_preview(reconstruction)

    def wants_models(self) -> bool:
        """Forward."""
        return self._monitor.wants_models()

    def on_better_model(self, model: TrainedModel) -> None:
        """Forward."""
        self._monitor.on_better_model(model)

    def wants_state(self, *, last: bool) -> bool:
        """Forward."""
        return self._monitor.wants_state(last=last)

    def on_state(self, state: SavedState) -> None:
        """Forward."""
        self._monitor.on_state(state)

    def resumption(self) -> Resumption | None:
        """Forward."""
        return self._monitor.resumption()


class PartMonitor(ForwardingMonitor):
    """Counts the steps of one part of a job among those of the whole.

    Args:
        monitor: receives every call.
        before: steps of the parts before.
        after: steps planned for the parts that follow.
    """

    def __init__(self, monitor: Monitor, *, before: int = 0, after: int = 0) -> None:
        super().__init__(monitor)
        self._before = before
        self._after = after

    def on_progress(self, progress: Progress) -> None:
        """Forward a step with its number among all steps."""
        step, total = self._before + progress.step, self._before + progress.total + self._after
        self._monitor.on_progress(dataclasses.replace(progress, step=step, total=total))


class BestModelMonitor(ForwardingMonitor):
    """Keeps the best model of a training, also if the training fails; forwards every call.

    Args:
        monitor: receives every call.
    """

    def __init__(self, monitor: Monitor) -> None:
        super().__init__(monitor)
        self._model: TrainedModel | None = None
        # (training, validation) of the epochs after the one that gave the best model.
        self._later_losses: list[tuple[float, float]] = []

    @property
    def best_model(self) -> TrainedModel | None:
        """The best model so far with the losses of all epochs done; None before the first epoch."""
        if self._model is None or not self._later_losses:
            return self._model
        losses = np.concatenate([self._model.losses, np.asarray(self._later_losses)])
        return dataclasses.replace(self._model, losses=losses)

    def on_progress(self, progress: Progress) -> None:
        """Keep the losses of an epoch; forward."""
        if progress.validation_loss is not None:
            self._later_losses.append((progress.loss, progress.validation_loss))
        self._monitor.on_progress(progress)

    def wants_models(self) -> bool:
        """Return True."""
        return True

    def on_better_model(self, model: TrainedModel) -> None:
        """Keep the model; forward if the other monitor wants models."""
        self._model = model
        # The model's own history ends with its epoch.
        self._later_losses = []
        if self._monitor.wants_models():
            self._monitor.on_better_model(model)
