"""Reconstruction with the `unrolled` architecture in PyTorch."""

from __future__ import annotations

from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_stage import LearnedStage
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.scan import Reconstruction, ScanData


class UnrolledInference:
    """A trained stage between passes of the solver.

    Args:
        ops: the device.
        model: the trained model.

    Raises:
        ModelMismatchError: the model's weights are not those of its network.
    """

    def __init__(self, ops: TorchOps, model: TrainedModel) -> None:
        self.model = model
        self._ops = ops
        self._stage = LearnedStage.from_weights(ops, model.manifest.model, model.weights)

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        execution: ExecutionConfig,
        monitor: Monitor,
    ) -> Reconstruction:
        """Reconstruct a scan.

        Args:
            scan: the scan.
            inference: stages and passes.
            execution: the backend's name, for the result.
            monitor: gets the progress after every stage.

        Raises:
            ReconstructionError: the numbers did not stay finite.
            Cancelled: the monitor asked for a stop.
        """
        return run_reconstruction(
            self._ops,
            scan,
            inference,
            monitor,
            backend=execution.backend,
            model=self.model,
            stage=self._stage,
        )
