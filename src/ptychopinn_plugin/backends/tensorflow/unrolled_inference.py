"""Reconstruction with the `unrolled` architecture in TensorFlow."""

from __future__ import annotations

from ptychopinn_plugin.backends.tensorflow.cpu_ops import (
    SolverOps,
    TensorFlowCpuOps,
    on_arrays,
)
from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.unrolled_stage import LearnedStage
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.networks.unrolled.stage_inference import StageInference


class UnrolledInference(StageInference):
    """A trained stage after the last pass of the solver; compiled once for all scans.

    Args:
        ops: the device.
        model: the trained model.

    Raises:
        ModelMismatchError: the model's weights are not those of its network.
    """

    def __init__(self, ops: SolverOps, model: TrainedModel) -> None:
        flexible = TensorFlowOps(ops.device, fused=False)
        if isinstance(ops, TensorFlowCpuOps):
            stage = LearnedStage.from_weights(flexible, model.manifest.model, model.weights)
            super().__init__(ops, model, on_arrays(stage))
        else:
            stage = LearnedStage.from_weights(ops, model.manifest.model, model.weights)
            # Compiled with XLA, each shape of the gate's small reconstruction would compile anew.
            super().__init__(ops, model, stage, flexible)
        self._traces = stage.traces

    def traces(self) -> int:
        """Return how many times the compiled update was traced so far."""
        return self._traces()
