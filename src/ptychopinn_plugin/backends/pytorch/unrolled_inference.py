"""Reconstruction with the `unrolled` architecture in PyTorch."""

from __future__ import annotations

from ptychopinn_plugin.backends.pytorch.cpu_ops import TorchCpuOps, on_arrays
from ptychopinn_plugin.backends.pytorch.ops import SolverOps, tensor_ops
from ptychopinn_plugin.backends.pytorch.unrolled_stage import LearnedStage
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.networks.unrolled.stage_inference import StageInference


class UnrolledInference(StageInference):
    """A trained stage after the last pass of the solver.

    Args:
        ops: the device.
        model: the trained model.

    Raises:
        ModelMismatchError: the model's weights are not those of its network.
    """

    def __init__(self, ops: SolverOps, model: TrainedModel) -> None:
        stage = LearnedStage.from_weights(tensor_ops(ops), model.manifest.model, model.weights)
        super().__init__(ops, model, on_arrays(stage) if isinstance(ops, TorchCpuOps) else stage)
