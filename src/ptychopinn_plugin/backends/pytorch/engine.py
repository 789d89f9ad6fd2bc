"""The PyTorch engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from ptychopinn_plugin.backends.out_of_memory import (
    divide_inference,
    divide_training,
    halving_batches,
)
from ptychopinn_plugin.backends.pytorch.cnn_inference import CnnInference
from ptychopinn_plugin.backends.pytorch.cpu_ops import TorchCpuOps
from ptychopinn_plugin.backends.pytorch.devices import (
    computing,
    is_out_of_memory,
    select_device,
    share_of_threads,
)
from ptychopinn_plugin.backends.pytorch.ops import SolverOps, solver_ops
from ptychopinn_plugin.backends.pytorch.process_group import TorchCommunicator, join_group
from ptychopinn_plugin.backends.pytorch.unrolled_inference import UnrolledInference
from ptychopinn_plugin.backends.ranks import ProcessRank
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.architectures import ARCHITECTURES
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.io.model_file import TrainedModel, early_model
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.patch_inference import automatic_batch_size
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.solver.fused.fused_table import functions_for, fused_functions

# One entry for each architecture of `ModelConfig`; the trainings are in `fit.FITS`.
INFERENCES: dict[str, type[UnrolledInference] | type[CnnInference]] = {
    'unrolled': UnrolledInference,
    'cnn': CnnInference,
}


class PyTorchEngine:
    """Reconstructs and trains with PyTorch; training runs in Lightning."""

    backend: Backend = 'pytorch'

    def __init__(self, execution: ExecutionConfig) -> None:
        self.configure(execution)

    def configure(self, execution: ExecutionConfig) -> None:
        """Use another config of this backend from the next call on."""
        self.ops = solver_ops(select_device(execution))
        self._batch_pixels = self.ops.batch_pixels
        self.execution = execution
        self._group: TorchCommunicator | None = None

    def close(self) -> None:
        """Leave the processes that reconstructed together with this one."""
        if self._group is not None:
            self._group.leave()
            self._group = None

    @contextmanager
    def computing(self) -> Iterator[SolverOps]:
        """Give array operations that take any shape, with the config's threads set."""
        ops = solver_ops(self.ops.device)
        if isinstance(ops, TorchCpuOps):
            ops.fused_functions = fused_functions()
        with computing(self.execution), torch.no_grad(), ops.batches_on_cores():
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
        if isinstance(self.ops, TorchCpuOps):
            self.ops.fused_functions = functions_for(scan)
        place = ProcessRank.of_environment()
        if place.size > 1 and self.execution.devices > 1:
            return self._reconstruct_part(place, scan, inference, model, monitor)

        def run(divisor: int) -> Reconstruction:
            self.ops.batch_pixels = self._batch_pixels // divisor
            early = self._load_early(inference)
            if model is None:
                return run_reconstruction(
                    self.ops, scan, inference, monitor, backend=self.backend, early=early
                )
            network = INFERENCES[model.manifest.model.architecture](self.ops, model)
            size = automatic_batch_size(scan.frame_size, model.manifest.model)
            execution = divide_inference(self.execution, size, divisor)
            return network.reconstruct(scan, inference, execution, monitor, early)

        with computing(self.execution), torch.no_grad(), self.ops.batches_on_cores():
            return halving_batches(run, is_out_of_memory)

    def _load_early(self, inference: InferenceConfig) -> Stage | None:
        """Return the package's stage after the second pass, None without one."""
        if not inference.early_network:
            return None
        return UnrolledInference(self.ops, early_model()).stage

    def _reconstruct_part(
        self,
        place: ProcessRank,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        """Reconstruct a scan together with other processes; see `run_reconstruction`.

        Batches keep their size where memory runs out: the other processes would not know.
        """
        if model is not None and ARCHITECTURES[model.manifest.model.architecture].comes_first:
            raise ConfigError(
                [
                    'a network that reconstructs before the solver needs all frames in one '
                    'process; set devices to 1, or take a model of the architecture unrolled'
                ]
            )
        group = self._group = self._group or join_group(place, self.ops.device)
        execution = share_of_threads(self.execution, place.local_size)
        with computing(execution), torch.no_grad(), self.ops.batches_on_cores():
            try:
                network = None if model is None else UnrolledInference(self.ops, model)
                stage = None if network is None else network.stage
                return run_reconstruction(
                    self.ops,
                    scan,
                    inference,
                    monitor,
                    backend=self.backend,
                    model=model,
                    stage=stage,
                    early=self._load_early(inference),
                    communicator=group,
                )
            except Exception as error:
                group.tell_failure(str(error))
                raise

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
        # Lightning is needed here only, and takes longer to import than a small reconstruction.
        from ptychopinn_plugin.backends.pytorch.fit import FITS

        if isinstance(self.ops, TorchCpuOps):
            self.ops.fused_functions = fused_functions()

        def run(divisor: int) -> TrainedModel:
            self.ops.batch_pixels = self._batch_pixels // divisor
            torch.manual_seed(training.seed)
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

        # Fresh weights and Lightning draw from PyTorch's global stream: the user's is kept.
        with computing(self.execution), torch.random.fork_rng():
            return halving_batches(run, is_out_of_memory)
