"""How a running job reports its progress and is asked to stop."""

from __future__ import annotations

from dataclasses import dataclass

from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.scan import Reconstruction


@dataclass(frozen=True)
class Progress:
    """One step of a running job.

    Attributes:
        stage: 'train', 'network' or 'solver'.
        step: steps done, from 1.
        total: steps planned.
        loss: value of the step: the residual while reconstructing, the training loss else.
        validation_loss: loss on held-out frames, where it was taken at this step.
        seconds: since the job began.
    """

    stage: str
    step: int
    total: int
    loss: float
    validation_loss: float | None = None
    seconds: float = 0.0


class Monitor:
    """Watches a job: hears of each step and may ask it to stop.

    The default hears nothing and never stops.
    """

    def on_progress(self, progress: Progress) -> None:
        """Hear of one step; called from the thread that runs the job."""

    def should_stop(self) -> bool:
        """Say whether the job shall stop; asked several times a step."""
        return False

    def wants_preview(self) -> bool:
        """Say whether to hear of the reconstruction as it stands; asked after every step."""
        return False

    def on_preview(self, reconstruction: Reconstruction) -> None:
        """Hear of the reconstruction as it stands."""

    def wants_models(self) -> bool:
        """Say whether to hear of each better model of a training; asked after every epoch."""
        return False

    def on_better_model(self, model: TrainedModel) -> None:
        """Hear of the best model so far."""
