"""An engine without a framework whose steps last as long as a test needs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptychopinn_plugin import __version__
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import Cancelled, ReconstructionError
from ptychopinn_plugin.io.model_file import Manifest, TrainedModel, weights_fingerprint
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.physics.overlap_add import illumination_coverage
from ptychopinn_plugin.scan import Canvas, Reconstruction, ScanData


class SlowEngine:
    """Reconstructs the phase ramp of its step number, trains one weight.

    Attributes:
        made: every engine so far.
        seconds_a_step: how long a step takes; a stop is looked for all the while.
        fails: with this, raised at the third step.
    """

    backend: Backend = 'pytorch'
    made: list[SlowEngine]
    seconds_a_step = 0.0
    fails: Exception | None = None

    def __init__(self, execution: ExecutionConfig) -> None:
        self.execution = execution
        self.closed = False
        self.calls: list[dict[str, Any]] = []
        type(self).made.append(self)

    def configure(self, execution: ExecutionConfig) -> None:
        self.execution = execution

    def close(self) -> None:
        self.closed = True

    def _step(self, number: int, monitor: Monitor) -> None:
        end = time.monotonic() + self.seconds_a_step
        while True:
            if monitor.should_stop():
                raise Cancelled('stopped on request')
            if time.monotonic() >= end:
                break
            time.sleep(0.01)
        if self.fails is not None and number == 3:
            raise self.fails

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        self.calls.append({'scan': scan, 'inference': inference, 'model': model})
        steps = inference.refine_iterations
        for step in range(1, steps + 1):
            self._step(step, monitor)
            monitor.on_progress(Progress('solver', step, steps, 1 / step, seconds=float(step)))
            if step < steps and monitor.wants_preview():
                monitor.on_preview(self._result(scan, inference, model, step))
        return self._result(scan, inference, model, steps)

    def _result(
        self, scan: ScanData, inference: InferenceConfig, model: TrainedModel | None, step: int
    ) -> Reconstruction:
        canvas = Canvas.for_scan(scan)
        return Reconstruction(
            object_canvas=np.full(canvas.shape, np.exp(1j * step), np.complex64),
            origin_px=canvas.origin_px,
            probe=(2 * scan.probe).astype(np.complex64),
            positions_px=scan.positions_px,
            coverage=illumination_coverage(scan.positions_px, scan.probe, canvas),
            residual=1 / np.arange(1.0, step + 1),
            stages=('solver',) * step,
            backend=self.backend,
            seconds=0.5,
            pixel_size_m=scan.metadata.pixel_size_m,
            model_name=weights_fingerprint(model) if model else '',
            losses=() if model is None else tuple(model.losses[:, 0]),
            probe_refined=inference.update_probe == 'on',
        )

    def fit(
        self,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        monitor: Monitor,
        *,
        folder: Path | None = None,
        resume: bool = False,
    ) -> TrainedModel:
        self.calls.append({'scans': scans, 'model': model, 'training': training})
        losses: list[tuple[float, float]] = []
        best: TrainedModel | None = None
        per_epoch = training.steps_per_epoch
        total = training.epochs * per_epoch
        try:
            for step in range(1, total + 1):
                self._step(step, monitor)
                monitor.on_progress(Progress('train', step, total, 1 / step))
                if step % per_epoch == 0:
                    epoch = step // per_epoch
                    losses.append((1 / epoch, 2 / epoch))
                    monitor.on_progress(Progress('train', step, total, *losses[-1], float(epoch)))
                    best = self._model(scans[0], model, training, losses)
                    if monitor.wants_models():
                        monitor.on_better_model(best)
        except Cancelled:
            if best is None:
                raise
        assert best is not None
        return best

    def _model(
        self,
        scan: ScanData,
        model: ModelConfig,
        training: TrainingConfig,
        losses: list[tuple[float, float]],
    ) -> TrainedModel:
        return TrainedModel(
            weights={'gain': np.array([len(losses)], np.float32)},
            probe=scan.probe,
            losses=np.array(losses, dtype=np.float64),
            manifest=Manifest(
                package_version=__version__,
                backend=self.backend,
                model=model,
                training=training,
                frame_size=scan.frame_size,
            ),
        )


def failure() -> ReconstructionError:
    return ReconstructionError('the object is not finite')
