"""Settings of a command: what is typed, a file, the data, the defaults."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from ptychopinn_plugin.backends.registry import check_installed, with_backend
from ptychopinn_plugin.cli.options import Reconstruct, Train, Watch
from ptychopinn_plugin.cli.scan_loading import scan_file
from ptychopinn_plugin.config import (
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import LegacyNameWarning
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.settings import (
    InferenceRun,
    TrainingRun,
    create_inference_config,
    create_training_config,
)

logger = logging.getLogger(__name__)

Run = TypeVar('Run', TrainingRun, InferenceRun)


def training_run(flags: Train, initial: TrainedModel | None = None) -> TrainingRun:
    """Return the settings of a training, with the backend to use.

    Args:
        flags: of the command.
        initial: the model that it goes on from, whose network it has; None without one.
    """
    network: dict[str, Any] = {}
    if initial is not None:
        # A size that was asked for is checked with the scans.
        network = initial.manifest.model.model_dump(exclude_defaults=True, exclude={'frame_size'})
    typed = flags.typed_settings(ModelConfig, TrainingConfig, ExecutionConfig, OrientationConfig)
    return _create(
        lambda: create_training_config(
            [scan_file(scan, flags) for scan in flags.scan],
            config_file=flags.config,
            output=flags.model,
            **(network | typed),
        )
    )


def inference_run(flags: Reconstruct, model: TrainedModel | None) -> InferenceRun:
    """Return the settings of a reconstruction, with the backend to use."""
    return _create(
        lambda: create_inference_config(
            scan_file(flags.scan, flags),
            model_file=model,
            config_file=flags.config,
            output=flags.output,
            **flags.typed_settings(InferenceConfig, ExecutionConfig, OrientationConfig),
        )
    )


def watch_run(flags: Watch, scan: ScanData, model: TrainedModel | None) -> InferenceRun:
    """Return the settings of a live reconstruction, with the backend to use.

    Args:
        flags: of the command.
        scan: with frames of the size of those to come.
        model: the one that the flags name, None without one.
    """
    return _create(
        lambda: create_inference_config(
            scan,
            model_file=model,
            config_file=flags.config,
            output=flags.output,
            **flags.typed_settings(InferenceConfig, ExecutionConfig, OrientationConfig),
        )
    )


def _create(create: Callable[[], Run]) -> Run:
    """Return a run with its backend, which is installed, after warning of old names in the file."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always', LegacyNameWarning)
        run = create()
    for warning in found:
        logger.warning('%s', warning.message)
    execution = with_backend(run.execution, None)
    check_installed(execution.backend)
    return run.model_copy(update={'execution': execution})
