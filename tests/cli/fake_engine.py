"""An engine without any framework, for the tests of everything around engines."""

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


class FakeEngine:
    """Gives back the object guess, and a model of one weight."""

    backend: Backend = 'pytorch'

    def __init__(self, execution: ExecutionConfig) -> None:
        self.execution = execution

    def configure(self, execution: ExecutionConfig) -> None:
        self.execution = execution

    def close(self) -> None:
        """Do nothing."""

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        # A model of this engine, for frames of one size, unlike that of the package.
        own = model is not None and 'gain' in model.weights
        if model is not None and own and model.manifest.frame_size != scan.frame_size:
            raise ModelMismatchError('the model is for frames of another size')
        canvas = Canvas.for_scan(scan)
        steps = inference.refine_iterations
        for step in range(1, steps + 1):
            if monitor.should_stop():
                raise Cancelled('stopped')
            monitor.on_progress(Progress('solver', step, steps, 1 / step, seconds=step / 10))
        guess = scan.object_guess
        return Reconstruction(
            object_canvas=np.ones(canvas.shape, np.complex64) if guess is None else guess,
            origin_px=canvas.origin_px,
            probe=scan.probe,
            positions_px=scan.positions_px,
            coverage=illumination_coverage(scan.positions_px, scan.probe, canvas),
            residual=1 / np.arange(1.0, steps + 1),
            stages=('solver',) * steps,
            backend=self.backend,
            seconds=0.5,
            pixel_size_m=scan.metadata.pixel_size_m,
            model_name=weights_fingerprint(model) if model else '',
            settings=settings_lines(inference),
            version=__version__,
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
        checkpoint = None if folder is None else folder / 'last.ckpt'
        if resume and (checkpoint is None or not checkpoint.exists()):
            raise CheckpointError(f'there is no checkpoint {checkpoint} to resume')
        if checkpoint is not None:
            checkpoint.parent.mkdir(exist_ok=True)
            checkpoint.touch()
        losses = []
        for epoch in range(1, training.epochs + 1):
            if monitor.should_stop():
                break
            losses.append((1 / epoch, 2 / epoch))
            monitor.on_progress(Progress('train', epoch, training.epochs, *losses[-1], epoch))
        if not losses:
            raise Cancelled('stopped before the first epoch')
        return TrainedModel(
            weights={'gain': np.array([len(losses)], np.float32)},
            probe=scans[0].probe,
            losses=np.array(losses, dtype=np.float64),
            manifest=Manifest(
                package_version=__version__,
                backend=self.backend,
                model=model,
                training=training,
                frame_size=scans[0].frame_size,
            ),
        )
