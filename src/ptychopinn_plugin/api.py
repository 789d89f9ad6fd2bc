"""The package in a few lines of Python: load, train, reconstruct, save."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.backends.registry import with_backend
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.model_names import PACKAGED
from ptychopinn_plugin.config.unused_fields import unused_fields, with_architecture_defaults
from ptychopinn_plugin.errors import ConfigError, ScanDataError
from ptychopinn_plugin.io.model_file import (
    TrainedModel,
    load_model,
    resolve_model,
    save_model,
)
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.checkpointing import (
    FILE_NAME,
    Checkpointing,
    CheckpointMonitor,
    checkpoint_header,
)
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.preflight_log import log_preflight

__all__ = [
    'Checkpointing',
    'Engine',
    'Monitor',
    'Progress',
    'Reconstruction',
    'TrainedModel',
    'load_model',
    'make_engine',
    'reconstruct',
    'save_model',
    'train',
]

logger = logging.getLogger(__name__)


def make_engine(backend: Backend | None = None, execution: ExecutionConfig | None = None) -> Engine:
    """Make an engine for several calls, which share what it has loaded and compiled.

    With TensorFlow a second scan of the same shapes then starts about a second sooner.

    Args:
        backend: 'pytorch' or 'tensorflow'; None takes that of `execution`, or the installed one.
        execution: device, threads, optimiser.

    Raises:
        UnknownBackendError: there is no backend of this name.
        BackendUnavailableError: the backend is not installed.
    """
    execution = with_backend(execution or ExecutionConfig(), backend)
    return engine_class(execution.backend)(execution)


def train(
    scans: ScanData | Sequence[ScanData],
    *,
    backend: Backend | None = None,
    model: ModelConfig | None = None,
    training: TrainingConfig | None = None,
    execution: ExecutionConfig | None = None,
    monitor: Monitor | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    initial_model: TrainedModel | str | Path | None = None,
) -> TrainedModel:
    """Train a network on one or several scans; no ground truth is needed.

    Args:
        scans: the scans.
        backend: 'pytorch' or 'tensorflow'; None takes that of `execution`, or the installed one.
        model: architecture of the network; None for that of the initial model, if any.
        training: epochs, batches, seeds; epochs that are not set are 8, of `cnn` 60.
        execution: device and threads.
        monitor: receives each step and may request a stop: the best model so far is returned.
        folder: for logs and checkpoints; None writes neither.
        resume: continue from the last checkpoint in the folder.
        initial_model: a trained model, or its file, whose training goes on with these scans.

    Raises:
        Cancelled: stopped before the first epoch was done.
        CheckpointError: there is no checkpoint to resume, or it does not fit.
        BackendUnavailableError: the backend is not installed.
        ConfigError: a setting of the other architecture was set.
        ModelFileError: the initial model's file cannot be read.
        ModelMismatchError: the initial model does not fit the network or the scans.
        ScanDataError: `scans` is empty.
        UnknownBackendError: there is no backend of this name.
    """
    initial = resolve_model(initial_model)
    if model is None:
        model = ModelConfig() if initial is None else initial.manifest.model
    training = training or TrainingConfig()
    unused = [unused_fields(config, model.architecture) for config in (model, training)]
    if any(unused):
        raise ConfigError([reason for reasons in unused for reason in reasons.values()])
    scans = [scans] if isinstance(scans, ScanData) else list(scans)
    if not scans:
        raise ScanDataError(['training needs at least one scan, got none'])
    engine = make_engine(backend, execution)
    for scan in scans:
        log_preflight(scan, logger)
    return engine.fit(
        scans,
        model,
        with_architecture_defaults(training, model.architecture),
        monitor or Monitor(),
        folder=None if folder is None else Path(folder),
        resume=resume,
        initial=initial,
    )


def reconstruct(
    scan: ScanData,
    *,
    model: TrainedModel | str | Path | None = PACKAGED,
    backend: Backend | None = None,
    inference: InferenceConfig | None = None,
    execution: ExecutionConfig | None = None,
    engine: Engine | None = None,
    monitor: Monitor | None = None,
    checkpoint: Checkpointing | str | Path | None = None,
    resume: bool = False,
) -> Reconstruction:
    """Reconstruct a scan by physics, and with a trained network as far as the scan supports it.

    Args:
        scan: the scan.
        model: a trained model or its file, whichever backend trained it; 'packaged' for the model
            of the package, None or 'none' for physics alone.
        backend: 'pytorch' or 'tensorflow'; None takes that of `execution`, or the installed one.
        inference: iterations, probe update.
        execution: device and threads.
        engine: from `make_engine`, in place of `backend` and `execution`.
        monitor: receives each step and may request a stop.
        checkpoint: folder in which the state is kept each minute and after the last iteration, so
            that an interrupted reconstruction can go on; None keeps none.
        resume: go on from the folder's checkpoint, where there is one. `refine_iterations`, steps,
            momentum, constraints and regularisers may be others than before; the result's remarks
            say which.

    Raises:
        CheckpointError: the checkpoint is damaged, or belongs to another scan, model or settings.
        BackendUnavailableError: the backend is not installed.
        ModelFileError: the model's file cannot be read.
        ModelMismatchError: the model does not fit the scan.
        Cancelled: the monitor requested a stop.
        TypeError: an engine was given together with a backend or an execution config.
        UnknownBackendError: there is no backend of this name.
    """
    if engine is not None and (backend is not None or execution is not None):
        raise TypeError(
            'reconstruct got an engine together with a backend or an execution config; give the '
            'engine or the other two, not both'
        )
    resolved = resolve_model(model)
    engine = engine or make_engine(backend, execution)
    inference = inference or InferenceConfig()
    architecture = None if resolved is None else resolved.manifest.model.architecture
    # A warning only: one config may serve reconstructions with and without a model.
    for reason in unused_fields(inference, architecture).values():
        logger.warning('%s', reason)
    log_preflight(scan, logger)
    monitor = monitor or Monitor()
    plan = _checkpointing(checkpoint, resume=resume)
    if plan is not None:
        header = functools.partial(checkpoint_header, engine.backend, scan, inference, resolved)
        monitor = CheckpointMonitor(monitor, plan, header)
    return engine.reconstruct(scan, inference, resolved, monitor)


def _checkpointing(
    checkpoint: Checkpointing | str | Path | None, *, resume: bool
) -> Checkpointing | None:
    """Return where the state of a reconstruction is kept, None where it is not."""
    if checkpoint is None and resume:
        raise TypeError('reconstruct got resume, but no checkpoint; name its folder')
    if checkpoint is None or isinstance(checkpoint, Checkpointing):
        return checkpoint
    return Checkpointing(Path(checkpoint) / FILE_NAME, resume=resume)
