"""The PyTorch engine."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

import ptychopinn_plugin
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.engines.episodes import TrainingScan
from ptychopinn_plugin.engines.protocol import Monitor, Reconstruction
from ptychopinn_plugin.engines.pytorch.devices import computing, device_of
from ptychopinn_plugin.engines.pytorch.fitting import Keeper, run_training
from ptychopinn_plugin.engines.pytorch.ops import TorchOps
from ptychopinn_plugin.engines.pytorch.stage import LearnedStage
from ptychopinn_plugin.engines.pytorch.training import StageTraining
from ptychopinn_plugin.engines.runner import run_reconstruction, stop_check
from ptychopinn_plugin.model_file import (
    Manifest,
    TrainedModel,
    data_fingerprint,
    probe_fingerprint,
    weights_fingerprint,
)
from ptychopinn_plugin.solver import AcceleratedSolver, Problem

logger = logging.getLogger(__name__)


class PyTorchEngine:
    """Reconstructs and trains with PyTorch; training runs in Lightning."""

    backend: Backend = 'pytorch'

    def __init__(self, execution: ExecutionConfig) -> None:
        self.execution = execution
        self.device = device_of(execution)

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
        """
        with computing(self.execution), torch.random.fork_rng():
            torch.manual_seed(training.seed)
            prepared = [self._prepared(scan, training, monitor) for scan in scans]
            manifest = self._manifest(model, training, [one.scan for one in prepared])
            probe = prepared[0].scan.probe

            def tell(keeper: Keeper) -> None:
                if monitor.wants_models():
                    monitor.on_better_model(_trained(keeper, manifest, probe))

            module = StageTraining(model, training, prepared, stop_check(monitor))
            keeper = run_training(
                module,
                self.execution,
                self.device,
                monitor,
                folder,
                resume=resume,
                on_better=tell,
            )
        return _trained(keeper, manifest, probe)

    def _prepared(self, scan: ScanData, training: TrainingConfig, monitor: Monitor) -> TrainingScan:
        """Reconstruct a scan by physics alone: the reference of its training."""
        inference = InferenceConfig(
            refine_iterations=training.reference_passes, update_probe=training.update_probe
        )
        with torch.no_grad():
            ops = TorchOps(self.device)
            problem = Problem.of(
                ops,
                scan,
                inference.subsets,
                fixed_probe=not inference.update_probe,
                check=stop_check(monitor),
            )
            solver = AcceleratedSolver(problem, inference)
            for _ in range(inference.refine_iterations):
                solver.one_pass()
            residual = solver.finish()
            reference = ops.numpy(solver.canvas_object)
            probe = ops.numpy(solver.probe).astype(np.complex64)
        logger.info('%s: reference by physics alone, residual %.5f', scan.source, residual)
        scan = dataclasses.replace(scan, probe=probe)
        return TrainingScan.of(scan, reference, problem.canvas, training.validation_fraction)

    def _manifest(
        self, model: ModelConfig, training: TrainingConfig, scans: Sequence[ScanData]
    ) -> Manifest:
        """Return what a model of these scans says of itself, but for its weights."""
        return Manifest(
            package_version=ptychopinn_plugin.__version__,
            backend=self.backend,
            model=model,
            training=training,
            frame_size=scans[0].frame_size,
            pixel_size_m=scans[0].metadata.pixel_size_m,
            photons_per_frame=tuple(
                float(scan.counts.sum(dtype=np.float64)) / scan.frame_count for scan in scans
            ),
            probe_fingerprint=probe_fingerprint(scans[0].probe),
            data_fingerprint=data_fingerprint(scans),
        )


def _trained(keeper: Keeper, manifest: Manifest, probe: npt.NDArray[np.complex64]) -> TrainedModel:
    """Return the best epoch's model with its manifest."""
    # A training under way must not notice that a network was drawn.
    with torch.random.fork_rng(devices=[]):
        module = StageTraining(manifest.model, manifest.training, [], lambda: None)
    module.network.load_state_dict(keeper.weights or {})
    stage = LearnedStage(TorchOps(torch.device('cpu')), module.network, keeper.trust)
    trained = TrainedModel(stage.weights(), probe, keeper.history(), manifest)
    fingerprint = weights_fingerprint(trained)
    return dataclasses.replace(
        trained, manifest=manifest.model_copy(update={'weights_fingerprint': fingerprint})
    )
