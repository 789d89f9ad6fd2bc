"""The `cnn` architecture at work in TensorFlow: a training and a reconstruction from end to end."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.cnn_tensors import Fields, fields_of, signature_of
from ptychopinn_plugin.backends.tensorflow.cnn_network import PatchNetwork
from ptychopinn_plugin.backends.tensorflow.cnn_training import PatchTraining, expected_of
from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.training_loop import run_training
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.inference import (
    Patches,
    reconstruct_with_network,
    with_model_probe,
)
from ptychopinn_plugin.networks.cnn.predicted_counts import Optics
from ptychopinn_plugin.networks.cnn.setup import prepared
from ptychopinn_plugin.networks.runner import stop_check
from ptychopinn_plugin.physics.noise_models import amplitude_deviance
from ptychopinn_plugin.scan import Reconstruction, ScanData

logger = logging.getLogger(__name__)


class PatchDrawing:
    """Draws patches with a trained model; what it has compiled serves every scan.

    Args:
        model: the model.
        device: TensorFlow's name of the device.

    Raises:
        ModelMismatchError: the model's weights are not those of its network.
    """

    def __init__(self, model: TrainedModel, device: str) -> None:
        config, size = model.manifest.model, model.manifest.frame_size
        self.model = model
        self._ops = TensorFlowOps(device, fused=False)
        self._network = PatchNetwork(config, size, len(model.probe), model.weights)
        self._optics = Optics.from_config(self._ops, config, size)
        self._compiled: Any = None

    def reconstruct(
        self,
        ops: TensorFlowOps,
        scan: ScanData,
        inference: InferenceConfig,
        execution: ExecutionConfig,
        monitor: Monitor,
    ) -> Reconstruction:
        """Reconstruct a scan.

        Args:
            ops: for the physics passes.
            scan: frames of the model's size.
            inference: groups and passes.
            execution: groups a batch.
            monitor: hears of every batch and pass.

        Raises:
            ModelMismatchError: the frames have another size than the model's.
            PatchError: groups cannot be filled.
            Cancelled: the monitor asked for a stop.
        """
        lit = with_model_probe(scan, self.model)

        def draw(batch: GroupBatch) -> tuple[Patches, float]:
            patches, misfit = self._draw(fields_of(batch, lit))
            return patches.numpy(), float(misfit)

        return reconstruct_with_network(
            ops,
            lit,
            inference,
            monitor,
            draw,
            backend=execution.backend,
            model=self.model,
            batch_size=execution.inference_batch_size,
        )

    def traces(self) -> int:
        """Return how many times the compiled network was traced so far."""
        count: int = (
            0 if self._compiled is None else self._compiled.experimental_get_tracing_count()
        )
        return count

    def _draw(self, fields: Fields) -> tuple[tf.Tensor, tf.Tensor]:
        """Return patches and their misfit, compiled once for all numbers of groups."""
        if self._compiled is None:
            self._compiled = tf.function(self._drawn, (signature_of(fields),), autograph=False)
        found: tuple[tf.Tensor, tf.Tensor] = self._compiled(fields)
        return found

    def _drawn(self, fields: Fields) -> tuple[tf.Tensor, tf.Tensor]:
        patches, _ = self._network(fields['inputs'])
        expected = expected_of(
            self._ops, self._optics, self._network, patches, fields['probe'], fields
        )
        misfit = amplitude_deviance(self._ops, expected, fields['amplitudes'], fields['good'])
        return patches, misfit


def fit_cnn(
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    execution: ExecutionConfig,
    monitor: Monitor,
    device: str,
    folder: Path | None,
    *,
    resume: bool,
) -> TrainedModel:
    """Train the published network on scans; see `TensorFlowEngine.fit`.

    Raises:
        PatchError: groups cannot be filled.
        ScanDataError: an object is needed and not known.
        CollapseError: the network draws a flat object and will not recover.
    """
    sets, record, schedule = prepared(scans, model, training, execution, monitor)
    check = stop_check(monitor)
    job = PatchTraining(sets, model, training, execution, schedule, device, check)
    run_epoch = functools.partial(job.run_epoch, record)
    run_training(job, record, run_epoch, execution, folder, resume=resume)
    logger.debug('Traced by TensorFlow for the training: %s', job.traces())
    return record.trained()
