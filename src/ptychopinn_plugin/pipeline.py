"""Train, save, load, reconstruct and save again, in one call."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.api import reconstruct, train
from ptychopinn_plugin.atomic import check_output_folder
from ptychopinn_plugin.backends.registry import backend_spec, check_installed, with_backend
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.architectures import ARCHITECTURES, PUBLISHED
from ptychopinn_plugin.config.base import Job, field_traits
from ptychopinn_plugin.errors import ConfigError, ModelMismatchError, OutputError
from ptychopinn_plugin.io.model_file import TrainedModel, load_model, save_trained_model
from ptychopinn_plugin.io.result_files import save_reconstruction
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.plotting import picture
from ptychopinn_plugin.scan import Reconstruction, ScanData, orient
from ptychopinn_plugin.settings import (
    InferenceRun,
    TrainingRun,
    create_inference_config,
    create_training_config,
)
from ptychopinn_plugin.settings.legacy import has_legacy_names, translate_legacy
from ptychopinn_plugin.settings.suggestions import describe_unknown

MODEL, OBJECT, PICTURE = 'model.safetensors', 'object.npz', 'object.png'
TRAINING = 'training'


class PipelineResult(NamedTuple):
    """Object, history and files of a pipeline run.

    Attributes:
        amplitude: float32 (H, W), of the object; NaN where no probe reached.
        phase: float32 (H, W), radians in (-pi, pi]; NaN where no probe reached.
        results: plain values: `backend`; `architecture`; `history` with `train_loss` and
            `val_loss`, a number an epoch; `seconds` of `train` and `reconstruct`; `paths` of
            `model`, `object`, `picture` and `training` (logs, checkpoints); `model_name`, the
            model's fingerprint; `residual`, sum (|Psi| - sqrt(counts))^2 / sum counts at the end;
            `origin_px`, (row, column) of pixel (0, 0).
    """

    amplitude: npt.NDArray[np.float32]
    phase: npt.NDArray[np.float32]
    results: dict[str, Any]


def run_pipeline(
    train_data: ScanData | str | Path,
    test_data: ScanData | str | Path | None = None,
    *,
    output_dir: str | Path,
    backend: Backend | None = None,
    execution: ExecutionConfig | None = None,
    config_file: str | Path | None = None,
    monitor: Monitor | None = None,
    **settings: object,
) -> PipelineResult:
    """Train on a scan, save the model, load it again, reconstruct a scan and stitch its object.

    Args:
        train_data: the scan to train on, or its file.
        test_data: the scan to reconstruct; None for that of the training.
        output_dir: folder for model, object, picture and logs; made if it is not there.
        backend: 'pytorch' or 'tensorflow'; None takes what the settings say or what is installed.
        execution: only what was set in it counts.
        config_file: .toml or .yaml, see `create_training_config`.
        monitor: is called at each step, and may request a stop.
        **settings: fields of the configs; a name of both training and reconstruction is for both.

    Raises:
        ConfigError: unknown names, values that a field does not take, or settings without effect.
        ScanDataError: a scan cannot be read.
        ModelMismatchError: the `cnn` architecture, and scans with frames of different sizes.
        BackendUnavailableError: the backend is not installed; raised before a scan is read.
        UnknownBackendError: there is no backend of this name.
        OutputError: the folder cannot be made or written into, which is found before a scan is
            read, or a file not written; a model is then saved elsewhere, as the message says.
        Cancelled: the monitor requested a stop before there was a model, or later.
    """
    if backend is not None:
        settings['backend'] = backend_spec(backend).name
    if test_data is None:
        test_data = train_data
    sources: dict[str, Any] = {'execution': execution, 'config_file': config_file}
    run, inference_run = _settle(train_data, test_data, sources, settings)
    chosen = with_backend(run.execution, None)
    check_installed(chosen.backend)
    check_output_folder(Path(output_dir))
    scan = _load(train_data)
    test_scan = scan if test_data is train_data else _load(test_data)
    _check_fit(run.model, scan, test_scan)
    scan = orient(scan, run.orientation)
    test_scan = orient(test_scan, inference_run.orientation)
    folder = _folder(Path(output_dir))
    monitor = monitor or Monitor()

    began = time.perf_counter()
    model = train(
        scan,
        model=run.model,
        training=run.training,
        execution=chosen,
        monitor=monitor,
        folder=folder / TRAINING,
    )
    seconds = time.perf_counter() - began
    save_trained_model(folder / MODEL, model)
    model = load_model(folder / MODEL)
    result = reconstruct(
        test_scan,
        model=model,
        inference=inference_run.inference,
        execution=chosen,
        monitor=monitor,
    )
    return _save_outputs(result, model, test_scan, folder, seconds)


def _settle(
    train_data: ScanData | str | Path,
    test_data: ScanData | str | Path,
    sources: Mapping[str, Any],
    settings: Mapping[str, object],
) -> tuple[TrainingRun, InferenceRun]:
    """Return the settings of the training and of the reconstruction."""
    translated = translate_legacy(settings)
    if has_legacy_names(settings) and sources['config_file'] is None:
        # PtychoPINN's own names are those of its network.
        translated.setdefault('architecture', PUBLISHED)
    for_training, for_inference = _split_settings(translated)
    run = create_training_config(train_data, **sources, **for_training)
    architecture = run.model.architecture
    return run, create_inference_config(
        test_data, architecture=architecture, **sources, **for_inference
    )


def _split_settings(settings: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of the training and those of the reconstruction."""
    orientation = {*OrientationConfig.model_fields}
    training = {
        *ModelConfig.model_fields,
        *TrainingConfig.model_fields,
        *_fields_for('training'),
        *orientation,
    }
    inference = {*InferenceConfig.model_fields, *_fields_for('reconstruction'), *orientation}
    faults = [
        describe_unknown(name, training | inference, 'explicit')
        for name in settings
        if name not in training | inference
    ]
    if faults:
        raise ConfigError(faults)
    return (
        {name: value for name, value in settings.items() if name in training},
        {name: value for name, value in settings.items() if name in inference},
    )


def _fields_for(job: Job) -> set[str]:
    """Return the execution settings that have an effect on a job."""
    fields = ExecutionConfig.model_fields.items()
    return {name for name, info in fields if field_traits(info).job in (None, job)}


def _load(data: ScanData | str | Path) -> ScanData:
    return data if isinstance(data, ScanData) else load_scan(data)


def _check_fit(model: ModelConfig, scan: ScanData, test_scan: ScanData) -> None:
    """Raise for a scan that the network cannot reconstruct, before it is trained."""
    fixed = ARCHITECTURES[model.architecture].fixed_frame_size
    if fixed and scan.frame_size != test_scan.frame_size:
        raise ModelMismatchError(
            f'the {model.architecture} architecture needs frames of one size; those to train on '
            f'have {scan.frame_size} pixels a side, those to reconstruct {test_scan.frame_size}'
        )


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'the folder {path} cannot be made: {error.strerror}') from error
    return path


def _save_outputs(
    result: Reconstruction,
    model: TrainedModel,
    scan: ScanData,
    folder: Path,
    training_seconds: float,
) -> PipelineResult:
    """Save the result and return it."""
    paths = {
        'model': folder / MODEL,
        'object': folder / OBJECT,
        'picture': folder / PICTURE,
        'training': folder / TRAINING,
    }
    save_reconstruction(paths['object'], result, scan)
    picture(result, paths['picture'], title=folder.name)
    return PipelineResult(
        np.abs(result.object_canvas).astype(np.float32),
        np.angle(result.object_canvas).astype(np.float32),
        {
            'backend': result.backend,
            'architecture': model.manifest.model.architecture,
            'history': {
                'train_loss': model.losses[:, 0].tolist(),
                'val_loss': model.losses[:, 1].tolist(),
            },
            'seconds': {'train': training_seconds, 'reconstruct': result.seconds},
            'paths': paths,
            'model_name': model.manifest.weights_fingerprint,
            'residual': float(result.residual[-1]) if len(result.residual) else math.nan,
            'origin_px': result.origin_px,
        },
    )
