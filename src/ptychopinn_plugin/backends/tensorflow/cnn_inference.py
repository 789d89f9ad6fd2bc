"""Reconstruction with the `cnn` architecture in TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.cnn_correction import build_network
from ptychopinn_plugin.backends.tensorflow.cpu_ops import SolverOps
from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.signatures import Arrays, batch_arrays, batch_signature
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.batch_loss import BatchTensors, expected_batch_counts
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.cnn.model_probe import with_model_probe
from ptychopinn_plugin.networks.cnn.patch_inference import Prediction, reconstruct_with_network
from ptychopinn_plugin.networks.cnn.predicted_counts import Optics
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.physics.noise_models import amplitude_deviance
from ptychopinn_plugin.scan import Reconstruction, ScanData


class CnnInference:
    """A trained network that predicts patches; compiled once for all scans.

    Args:
        ops: for the physics passes.
        model: the trained model.

    Raises:
        ModelMismatchError: the model's weights are not those of its network.
    """

    def __init__(self, ops: SolverOps, model: TrainedModel) -> None:
        config, size = model.manifest.model, model.manifest.frame_size
        self.model = model
        self._solver_ops = ops
        # Batches differ in size: compiled with XLA, each size would compile anew.
        self._ops = TensorFlowOps(ops.device, fused=False)
        self._network = build_network(config, size, len(model.probe), model.weights)
        self._optics = Optics.from_config(self._ops, config, size)
        self._compiled: Any = None

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        execution: ExecutionConfig,
        monitor: Monitor,
        early: Stage | None = None,
    ) -> Reconstruction:
        """Reconstruct a scan.

        Args:
            scan: frames of the model's size.
            inference: groups and passes.
            execution: groups a batch, and the precision of the convolutions, which stays that of
                the first call.
            monitor: gets the progress after every batch and pass.
            early: the learned stage after the second pass; None for none.

        Raises:
            ModelMismatchError: the frames have another size than the model's.
            PatchError: groups cannot be filled.
            Cancelled: the monitor asked for a stop.
        """
        if self._compiled is None:
            self._network.set_precision(execution.inference_precision)
        return reconstruct_with_network(
            self._solver_ops,
            with_model_probe(scan, self.model),
            self,
            inference,
            monitor,
            backend=execution.backend,
            model=self.model,
            batch_size=execution.inference_batch_size,
            early=early,
        )

    def predict(self, batch: GroupBatch) -> Prediction:
        """Return the patches of a batch and their misfit."""
        arrays = batch_arrays(batch)
        if self._compiled is None:
            signature = (batch_signature(arrays),)
            self._compiled = tf.function(self._predict, signature, autograph=False)
        patches, misfit = self._compiled(arrays)
        return Prediction(patches.numpy(), float(misfit))

    def traces(self) -> int:
        """Return how many times the compiled network was traced so far."""
        count: int = (
            0 if self._compiled is None else self._compiled.experimental_get_tracing_count()
        )
        return count

    def _predict(self, arrays: Arrays) -> tuple[tf.Tensor, tf.Tensor]:
        ops, tensors = self._ops, BatchTensors(**arrays)
        patches = self._network(tensors.inputs)
        factor = self._network.count_factor()
        expected = expected_batch_counts(ops, self._optics, patches, tensors.probe, factor, tensors)
        return patches, amplitude_deviance(ops, expected, tensors.amplitudes, tensors.good)
