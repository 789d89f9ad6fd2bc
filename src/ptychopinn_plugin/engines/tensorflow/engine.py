"""The TensorFlow engine."""

from __future__ import annotations

from ptychopinn_plugin.config import Backend, ExecutionConfig, InferenceConfig
from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.engines.protocol import Monitor, Reconstruction
from ptychopinn_plugin.engines.runner import run_reconstruction
from ptychopinn_plugin.engines.tensorflow.devices import computing, device_of, prepare
from ptychopinn_plugin.engines.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.model_file import TrainedModel


class TensorFlowEngine:
    """Reconstructs with TensorFlow; what it compiled serves later scans of the same shapes."""

    backend: Backend = 'tensorflow'

    def __init__(self, execution: ExecutionConfig) -> None:
        self.execution = execution
        self.device = device_of(execution)
        prepare(execution)
        self.ops = TensorFlowOps(self.device, fused=True)

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        """Reconstruct a scan."""
        with computing(self.device):
            return run_reconstruction(self.ops, scan, inference, monitor, backend=self.backend)
