"""Reconstruction with a learned stage, whichever framework brings it."""

from __future__ import annotations

from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import Reconstruction, ScanData


class StageInference:
    """A trained stage after the last pass of the solver.

    Args:
        ops: the framework and its device.
        model: the trained model.
        stage: its network, on the device.
        gate_ops: for work whose shapes change from scan to scan; None for `ops`.
    """

    def __init__(
        self, ops: Ops, model: TrainedModel, stage: Stage, gate_ops: Ops | None = None
    ) -> None:
        self.model = model
        self._ops = ops
        self._gate_ops = gate_ops
        self.stage = stage

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
            scan: the scan.
            inference: stages and passes.
            execution: the backend's name, for the result.
            monitor: gets the progress after every stage.
            early: the learned stage after the second pass; None for none.

        Raises:
            ReconstructionError: the numbers did not stay finite.
            Cancelled: the monitor asked for a stop.
        """
        if self._gate_ops is not None:
            self._gate_ops.batch_pixels = self._ops.batch_pixels
        return run_reconstruction(
            self._ops,
            scan,
            inference,
            monitor,
            backend=execution.backend,
            model=self.model,
            stage=self.stage,
            gate_ops=self._gate_ops,
            early=early,
        )
