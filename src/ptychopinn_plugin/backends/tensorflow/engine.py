"""The TensorFlow engine."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ptychopinn_plugin.backends.out_of_memory import (
    divide_inference,
    divide_training,
    halving_batches,
)
from ptychopinn_plugin.backends.tensorflow.cnn_inference import CnnInference
from ptychopinn_plugin.backends.tensorflow.cpu_ops import (
    SolverOps,
    TensorFlowCpuOps,
    batches_on_cores,
    solver_ops,
)
from ptychopinn_plugin.backends.tensorflow.devices import (
    computing,
    configure_runtime,
    is_out_of_memory,
    select_device,
)
from ptychopinn_plugin.backends.tensorflow.fit import FITS
from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.unrolled_inference import UnrolledInference
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.io.model_file import TrainedModel, early_model
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.patch_inference import automatic_batch_size
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.solver.fused.fused_table import functions_for, fused_functions

logger = logging.getLogger(__name__)

# One entry for each architecture of `ModelConfig`; the trainings are in `fit.FITS`.
INFERENCES: dict[str, type[UnrolledInference] | type[CnnInference]] = {
    'unrolled': UnrolledInference,
    'cnn': CnnInference,
}


class TensorFlowEngine:
    """Reconstructs and trains with TensorFlow.

    Functions that an engine has compiled are used again for later scans of the same shapes.
    """

    backend: Backend = 'tensorflow'

    def __init__(self, execution: ExecutionConfig) -> None:
        self._network: UnrolledInference | CnnInference | None = None
        self._early: UnrolledInference | None = None
        self.configure(execution)

    def configure(self, execution: ExecutionConfig) -> None:
        """Use another config of this backend from the next call on; compiles anew."""
        device = select_device(execution)
        configure_runtime(execution)
        self.execution = execution
        self.ops = solver_ops(device, execution)
        self._batch_pixels = self.ops.batch_pixels
        # Compiled with XLA, each new shape would take seconds.
        self._flexible_ops = TensorFlowOps(device, fused=False)
        self._network = self._early = None

    def close(self) -> None:
        """Do nothing: this engine starts no process."""

    @contextmanager
    def computing(self) -> Iterator[SolverOps]:
        """Give array operations that take any shape, compiled once for all uses of this engine."""
        ops: SolverOps = self._flexible_ops
        if isinstance(self.ops, TensorFlowCpuOps):
            ops = TensorFlowCpuOps(self.ops.device, self.ops.threads)
            ops.fused_functions = fused_functions()
        with computing(self.ops.device), batches_on_cores(ops):
            yield ops

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
            OutOfMemoryError: memory ran out also with batches an eighth as large.
            Cancelled: the monitor asked for a stop.
        """
        if isinstance(self.ops, TensorFlowCpuOps):
            self.ops.fused_functions = functions_for(scan)

        def run(divisor: int) -> Reconstruction:
            self.ops.batch_pixels = self._batch_pixels // divisor
            early = self._load_early(inference)
            if model is None:
                return run_reconstruction(
                    self.ops, scan, inference, monitor, backend=self.backend, early=early
                )
            size = automatic_batch_size(scan.frame_size, model.manifest.model)
            execution = divide_inference(self.execution, size, divisor)
            return self._load(model).reconstruct(scan, inference, execution, monitor, early)

        with computing(self.ops.device), batches_on_cores(self.ops):
            result = halving_batches(run, is_out_of_memory)
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
        initial: TrainedModel | None = None,
    ) -> TrainedModel:
        """Train a model on scans; a stopped training gives its best model so far.

        Args:
            scans: at least one.
            model: the architecture.
            training: epochs, losses, seeds.
            monitor: gets the progress after every step, and may ask for a stop.
            folder: for logs and checkpoints; None writes neither.
            resume: continue from the folder's last checkpoint.
            initial: whose weights the training goes on from; None for fresh ones.

        Raises:
            Cancelled: stopped before the first epoch was done.
            CheckpointError: there is nothing to resume, or it does not fit.
            CollapseError: the network has collapsed to a state without useful gradients.
            ModelMismatchError: the initial model does not fit the network or the scans.
            DivergenceError: the loss was not finite before the first epoch was done.
            OutOfMemoryError: memory ran out also with batches an eighth as large.
        """
        if isinstance(self.ops, TensorFlowCpuOps):
            self.ops.fused_functions = fused_functions()

        def run(divisor: int) -> TrainedModel:
            self.ops.batch_pixels = self._batch_pixels // divisor
            smaller = divide_training(training, divisor)
            return FITS[model.architecture](
                scans,
                model,
                smaller,
                self.execution,
                monitor,
                self.ops,
                folder,
                resume=resume,
                initial=initial,
            )

        with computing(self.ops.device):
            return halving_batches(run, is_out_of_memory)

    def traces(self) -> dict[str, int]:
        """Return how many times each function that reconstructs was traced so far, by its name."""
        network = {} if self._network is None else {'network': self._network.traces()}
        return {**self.ops.traces(), **network}

    def _load_early(self, inference: InferenceConfig) -> Stage | None:
        """Return the package's stage after the second pass, compiled once, or None without one."""
        if not inference.early_network:
            return None
        self._early = self._early or UnrolledInference(self.ops, early_model())
        return self._early.stage

    def _load(self, model: TrainedModel) -> UnrolledInference | CnnInference:
        """Return the network of a model, the compiled one again for the same model."""
        if self._network is None or self._network.model is not model:
            self._network = INFERENCES[model.manifest.model.architecture](self.ops, model)
        return self._network
