"""The PyTorch engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ptychopinn_plugin.backends.pytorch.cnn_inference import reconstruct_patches
from ptychopinn_plugin.backends.pytorch.devices import computing, device_of
from ptychopinn_plugin.backends.pytorch.ops import TorchOps
from ptychopinn_plugin.backends.pytorch.unrolled_stage import LearnedStage
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.scan import Reconstruction, ScanData


class PyTorchEngine:
    """Reconstructs and trains with PyTorch; training runs in Lightning."""

    backend: Backend = 'pytorch'

    def __init__(self, execution: ExecutionConfig) -> None:
        self.configure(execution)

    def configure(self, execution: ExecutionConfig) -> None:
        """Use another config of this backend from the next call on."""
        self.device = device_of(execution)
        self.execution = execution

    def close(self) -> None:
        """Do nothing: this engine starts no process."""

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
            Cancelled: the monitor asked for a stop.
        """
        ops = TorchOps(self.device)
        with computing(self.execution), torch.no_grad():
            if model is not None and model.manifest.model.architecture == 'cnn':
                return reconstruct_patches(
                    scan, inference, model, self.execution, monitor, self.device
                )
            stage = None
            if model is not None:
                stage = LearnedStage.from_weights(ops, model.manifest.model, model.weights)
            return run_reconstruction(
                ops, scan, inference, monitor, backend=self.backend, model=model, stage=stage
            )

    def fit(
        self,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        monitor: Monitor,
        *,
        folder: Path | None = None,
        resume: bool = False,
    ) -> TrainedModel:
        """Train a model on scans; a stopped training gives its best model so far.

        Args:
            scans: at least one.
            model: the network's shape.
            training: epochs, learning rate, seeds.
            monitor: hears of every step, and may ask for a stop.
            folder: for logs and checkpoints; None keeps neither.
            resume: go on from the folder's last checkpoint.

        Raises:
            Cancelled: stopped before the first epoch was done.
            CheckpointError: there is nothing to resume, or it does not fit.
            CollapseError: the published network went to a state that it cannot learn from.
        """
        # Lightning is needed here only, and takes longer to import than a small reconstruction.
        from ptychopinn_plugin.backends.pytorch.fit import fit_patches, fit_stage

        with computing(self.execution), torch.random.fork_rng():
            torch.manual_seed(training.seed)
            if model.architecture == 'cnn':
                return fit_patches(
                    scans,
                    model,
                    training,
                    self.execution,
                    monitor,
                    self.device,
                    folder,
                    resume=resume,
                )
            return fit_stage(
                scans, model, training, self.execution, monitor, self.device, folder, resume=resume
            )
