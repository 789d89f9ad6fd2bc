"""An engine without a framework, for the tests of everything around engines.

Subclasses change what a step does and what a result holds; the calls are those of `Engine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ptychopinn_plugin import __version__
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.used_settings import settings_lines
from ptychopinn_plugin.errors import Cancelled, CheckpointError, ModelMismatchError
from ptychopinn_plugin.io.model_file import Manifest, TrainedModel, weights_fingerprint
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.physics.overlap_add import illumination_coverage
from ptychopinn_plugin.scan import Canvas, Reconstruction, ScanData

Losses = list[tuple[float, float]]


class FakeEngine:
    """Gives back the object guess, and a model of one weight: the epoch that it is of.

    Attributes:
        execution: the last one that it was made or configured with.
        configs: those that it was configured with.
        closed: whether it was closed.
    """

    backend: Backend = 'pytorch'

    def __init__(self, execution: ExecutionConfig) -> None:
        self.execution = execution
        self.configs: list[ExecutionConfig] = []
        self.closed = False

    def configure(self, execution: ExecutionConfig) -> None:
        self.execution = execution
        self.configs.append(execution)

    def close(self) -> None:
        self.closed = True

    def called(self, **arguments: object) -> None:
        """Keep none of the arguments of a reconstruction or training."""

    def before_step(self, _number: int, monitor: Monitor) -> None:
        """Do the work of a step."""
        if monitor.should_stop():
            raise Cancelled('stopped on request')

    def after_step(self, number: int, scan: ScanData, monitor: Monitor) -> None:
        """Do nothing, after a step of a reconstruction or an epoch was reported."""

    def seconds(self, step: int) -> float:
        return step / 10

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        self.called(scan=scan, inference=inference, model=model)
        # A model of this engine, for frames of one size, unlike that of the package.
        own = model is not None and 'gain' in model.weights
        if model is not None and own and model.manifest.frame_size != scan.frame_size:
            raise ModelMismatchError('the model is for frames of another size')
        steps = inference.refine_iterations
        for step in range(1, steps + 1):
            self.before_step(step, monitor)
            monitor.on_progress(Progress('solver', step, steps, 1 / step, None, self.seconds(step)))
            if step < steps and monitor.wants_preview():
                monitor.on_preview(self.result(scan, inference, model, step))
            self.after_step(step, scan, monitor)
        return self.result(scan, inference, model, steps)

    def result(
        self, scan: ScanData, inference: InferenceConfig, model: TrainedModel | None, step: int
    ) -> Reconstruction:
        """Return the reconstruction after a step."""
        canvas, guess = Canvas.for_scan(scan), scan.object_guess
        return Reconstruction(
            object_canvas=np.ones(canvas.shape, np.complex64) if guess is None else guess,
            origin_px=canvas.origin_px,
            probe=scan.probe,
            positions_px=scan.positions_px,
            coverage=illumination_coverage(scan.positions_px, scan.probe, canvas),
            residual=1 / np.arange(1.0, step + 1),
            stages=('solver',) * step,
            backend=self.backend,
            seconds=0.5,
            pixel_size_m=scan.metadata.pixel_size_m,
            model_name='' if model is None else weights_fingerprint(model),
            losses=() if model is None else tuple(float(loss) for loss in model.losses[:, 0]),
            settings=settings_lines(inference),
            version=__version__,
        )

    def losses(self, epoch: int) -> tuple[float, float]:
        """Return the losses of training and validation of an epoch."""
        return 1 / epoch, 2 / epoch

    def steps_of_an_epoch(self, _training: TrainingConfig) -> int:
        return 1

    def fit(
        self,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        monitor: Monitor,
        *,
        folder: Path | None = None,
        resume: bool = False,
        initial: TrainedModel | None = None,
    ) -> TrainedModel:
        self.called(scans=scans, model=model, training=training, initial=initial)
        self.leave_checkpoint(folder, resume=resume)
        losses: Losses = []
        best = 0

        def trained() -> TrainedModel:
            return fake_model(scans[0], losses, model, training, self.backend, best)

        try:
            for epoch in range(1, training.epochs + 1):
                self._train_epoch(epoch, training, monitor)
                losses.append(self.losses(epoch))
                last = epoch * self.steps_of_an_epoch(training)
                steps = training.epochs * self.steps_of_an_epoch(training)
                monitor.on_progress(Progress('train', last, steps, *losses[-1], float(epoch)))
                if not best or losses[-1][1] < losses[best - 1][1]:
                    best = epoch
                    if monitor.wants_models():
                        monitor.on_better_model(trained())
                self.after_step(epoch, scans[-1], monitor)
        except Cancelled:
            if not best:
                raise
        return trained()

    def _train_epoch(self, epoch: int, training: TrainingConfig, monitor: Monitor) -> None:
        """Do the steps of an epoch and report all but the last."""
        steps = self.steps_of_an_epoch(training)
        for step in range((epoch - 1) * steps + 1, epoch * steps + 1):
            self.before_step(step, monitor)
            if step < epoch * steps:
                total = training.epochs * steps
                monitor.on_progress(Progress('train', step, total, 1 / step))

    def leave_checkpoint(self, folder: Path | None, *, resume: bool) -> None:
        """Write an empty checkpoint, and ask for one where a training is resumed."""
        checkpoint = None if folder is None else folder / 'last.ckpt'
        if resume and (checkpoint is None or not checkpoint.exists()):
            raise CheckpointError(f'there is no checkpoint {checkpoint} to resume')
        if checkpoint is not None:
            checkpoint.parent.mkdir(exist_ok=True)
            checkpoint.touch()


def fake_model(
    scan: ScanData,
    losses: Sequence[tuple[float, float]],
    model: ModelConfig | None = None,
    training: TrainingConfig | None = None,
    backend: Backend = 'pytorch',
    gain: int | None = None,
) -> TrainedModel:
    """Return a model of one weight: the epoch that it is of, the last one where not told."""
    return TrainedModel(
        weights={'gain': np.array([len(losses) if gain is None else gain], np.float32)},
        probe=scan.probe,
        losses=np.array(losses, dtype=np.float64),
        manifest=Manifest(
            package_version=__version__,
            backend=backend,
            model=model or ModelConfig(),
            training=training or TrainingConfig(),
            frame_size=scan.frame_size,
            photons_per_frame=(1e5,),
        ),
    )
