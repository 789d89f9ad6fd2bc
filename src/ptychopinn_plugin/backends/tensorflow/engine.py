"""The TensorFlow engine."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path

from ptychopinn_plugin.backends.tensorflow.cnn_inference import PatchDrawing, fit_patches
from ptychopinn_plugin.backends.tensorflow.devices import computing, device_of, prepare
from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.trainer import run_stage_epoch, run_training
from ptychopinn_plugin.backends.tensorflow.unrolled_stage import LearnedStage
from ptychopinn_plugin.backends.tensorflow.unrolled_training import StageTraining
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.history import TrainingRecord, manifest_of
from ptychopinn_plugin.networks.learning_rate import stage_schedule
from ptychopinn_plugin.networks.runner import run_reconstruction, stop_check
from ptychopinn_plugin.networks.unrolled.references import with_reference
from ptychopinn_plugin.scan import Reconstruction, ScanData

logger = logging.getLogger(__name__)


class TensorFlowEngine:
    """Reconstructs and trains with TensorFlow.

    What an engine has compiled serves its later scans of the same shapes.
    """

    backend: Backend = 'tensorflow'

    def __init__(self, execution: ExecutionConfig) -> None:
        self._last: tuple[TrainedModel, LearnedStage | PatchDrawing] | None = None
        self.configure(execution)

    def configure(self, execution: ExecutionConfig) -> None:
        """Use another config of this backend from the next call on; compiles anew."""
        self.device = device_of(execution)
        prepare(execution)
        self.execution = execution
        self.ops = TensorFlowOps(self.device, fused=True)
        self._last = None

    def close(self) -> None:
        """Do nothing: this engine starts no process."""

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        """Reconstruct a scan with a trained model, or by physics alone without one.

        Raises:
            ModelMismatchError: the model's weights are not those of its network.
            ReconstructionError: the numbers did not stay finite.
            Cancelled: the monitor asked for a stop.
        """
        with computing(self.device):
            stage = None if model is None else self._stage_of(model)
            if isinstance(stage, PatchDrawing):
                result = stage.reconstruct(self.ops, scan, inference, self.execution, monitor)
            else:
                result = run_reconstruction(
                    self.ops,
                    scan,
                    inference,
                    monitor,
                    backend=self.backend,
                    model=model,
                    stage=stage,
                )
        logger.debug('Traced so far by TensorFlow: %s', self.traces())
        return result

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
        """Train a model on scans; a stopped training gives its best model so far.

        Args:
            scans: at least one.
            model: the network's shape.
            training: epochs, learning rate, seeds.
            monitor: hears of every step, and may ask for a stop.
            folder: for logs and checkpoints; None keeps neither.
            resume: go on from the folder's last checkpoint.

        Raises:
            Cancelled: stopped before the first epoch was done.
            CheckpointError: there is nothing to resume, or it does not fit.
        """
        with computing(self.device):
            if model.architecture == 'cnn':
                return fit_patches(
                    scans,
                    model,
                    training,
                    self.execution,
                    monitor,
                    self.device,
                    folder,
                    resume=resume,
                )
            prepared = [with_reference(self.ops, scan, training, monitor) for scan in scans]
            used = [one.scan for one in prepared]
            manifest = manifest_of(self.execution, model, training, used)
            metric = self.execution.checkpoint_monitor_metric
            record = TrainingRecord(monitor, manifest, used[0].probe, metric=metric)
            schedule = stage_schedule(self.execution, training.epochs * training.steps_per_epoch)
            check = stop_check(monitor)
            job = StageTraining(model, training, schedule, self.execution, self.device, check)
            run_epoch = functools.partial(run_stage_epoch, job, record, prepared)
            run_training(job, record, run_epoch, self.execution, folder, resume=resume)
        logger.debug('Traced by TensorFlow for the training: %s', job.traces())
        return record.trained()

    def traces(self) -> dict[str, int]:
        """Return how many times each function that reconstructs was traced so far, by its name."""
        network = {} if self._last is None else {'network': self._last[1].traces()}
        return {**self.ops.traces(), **network}

    def _stage_of(self, model: TrainedModel) -> LearnedStage | PatchDrawing:
        """Return what a model's network does, the last one again for the same model."""
        if self._last is None or self._last[0] is not model:
            config = model.manifest.model
            self._last = (
                model,
                PatchDrawing(model, self.device)
                if config.architecture == 'cnn'
                else LearnedStage.from_weights(self.ops, config, model.weights),
            )
        return self._last[1]
