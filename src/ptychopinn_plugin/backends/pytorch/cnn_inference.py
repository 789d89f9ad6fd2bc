"""Reconstruction with the `cnn` architecture in PyTorch."""

from __future__ import annotations

from ptychopinn_plugin.backends.pytorch.cnn_correction import build_network
from ptychopinn_plugin.backends.pytorch.ops import SolverOps, tensor_ops
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
    """A trained network that predicts patches.

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
        self._ops = tensor_ops(ops)
        self._network = build_network(config, size, len(model.probe), model.weights)
        self._network.to(ops.device).eval()
        self._optics = Optics.from_config(self._ops, config, size)

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
            execution: groups a batch, and the precision of the convolutions.
            monitor: gets the progress after every batch and pass.
            early: the learned stage after the second pass; None for none.

        Raises:
            ModelMismatchError: the frames have another size than the model's.
            PatchError: groups cannot be filled.
            Cancelled: the monitor asked for a stop.
        """
        self._network.precision = execution.inference_precision
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
        ops, tensors = self._ops, BatchTensors.from_batch(self._ops, batch)
        with ops.network_threads():
            patches = self._network(tensors.inputs)
        factor = self._network.count_factor()
        expected = expected_batch_counts(ops, self._optics, patches, tensors.probe, factor, tensors)
        misfit = amplitude_deviance(ops, expected, tensors.amplitudes, tensors.good)
        return Prediction(ops.numpy(patches), ops.number(misfit))
