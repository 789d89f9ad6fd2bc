"""Make the settings of a run from arguments, a file and the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ptychopinn_plugin.config import (
    Architecture,
    Config,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.architectures import ARCHITECTURES
from ptychopinn_plugin.config.base import Job
from ptychopinn_plugin.config.unused_fields import architecture_defaults
from ptychopinn_plugin.errors import ConfigError, ModelMismatchError, ScanDataError
from ptychopinn_plugin.io.file_format import ScanFile
from ptychopinn_plugin.io.model_file import Manifest, TrainedModel, load_model
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.photons import mean_photons
from ptychopinn_plugin.settings.config_file import read_file
from ptychopinn_plugin.settings.effect import chosen_architecture, drop_unused
from ptychopinn_plugin.settings.from_data import (
    Data,
    OneScan,
    list_scans,
    scan_frame_size,
    scan_name,
)
from ptychopinn_plugin.settings.legacy import has_legacy_names, translate_legacy
from ptychopinn_plugin.settings.merge import Source, merge_sources
from ptychopinn_plugin.settings.runs import SECTIONS, InferenceRun, TrainingRun

_FILES = ('test_data', 'output')


def create_training_config(
    data: Data,
    *,
    execution: ExecutionConfig | None = None,
    config_file: str | Path | None = None,
    **explicit: object,
) -> TrainingRun:
    """Put together the settings of a training.

    A setting is taken from the first of these that has it: `explicit`, the fields that were set
    when `execution` was made, the file, the data, the defaults. Each change is logged.

    The data give `frame_size`, N, by the header of the probe, without loading any values. A single
    `ScanData` also gives `nphotons`, the mean of its frames; for files it stays 0, which is the
    photons of the data too, counted when they are loaded.

    Args:
        data: one or several scans, or files of them.
        execution: only what was set in it counts.
        config_file: .toml or .yaml; sections or plain names.
        **explicit: fields of `ModelConfig`, `TrainingConfig`, `ExecutionConfig` and
            `OrientationConfig`, and the paths `test_data` and `output`. Names of the research
            code are translated with a warning, and choose its network where no `architecture`
            is set.

    Raises:
        ConfigError: with every unknown name, every value that a field does not take, and every
            setting among `explicit` that has no effect.
        ScanDataError: the data cannot be read, or have frames of another size than `frame_size`.
    """
    scans = list_scans(data)
    given, files = _split_paths(explicit)
    legacy = has_legacy_names(explicit)
    sizes = {scan_name(scan): scan_frame_size(scan) for scan in scans}
    found = _merge(
        ('model', 'training', 'execution', 'orientation'),
        _data_source(scans, sizes),
        config_file,
        execution,
        Source('explicit', given, 'typed', legacy),
        'training',
    )
    model = cast('ModelConfig', found['model'])
    _check_sizes(model, sizes)
    return TrainingRun(
        model=model,
        training=cast('TrainingConfig', found['training']),
        execution=cast('ExecutionConfig', found['execution']),
        orientation=cast('OrientationConfig', found['orientation']),
        train_data=tuple(scan.path for scan in scans if isinstance(scan, ScanFile)),
        **files,
    )


def create_inference_config(
    data: OneScan,
    *,
    model_file: str | Path | TrainedModel | None = None,
    architecture: Architecture | None = None,
    execution: ExecutionConfig | None = None,
    config_file: str | Path | None = None,
    **explicit: object,
) -> InferenceRun:
    """Put together the settings of a reconstruction, in the order of `create_training_config`.

    The network is that of the model file, and nothing else changes it.

    Args:
        data: the scan or its file.
        model_file: the trained model; None for physics alone.
        architecture: of a model that is still to be trained, in place of `model_file`.
        execution: only what was set in it counts.
        config_file: .toml or .yaml; its model and training are not used.
        **explicit: fields of `InferenceConfig`, `ExecutionConfig` and `OrientationConfig`, and the
            path `output`.

    Raises:
        ConfigError: with every unknown name, every value that a field does not take, and every
            setting among `explicit` that has no effect.
        ModelFileError: the model's file cannot be read.
        ModelMismatchError: a `cnn` model is for frames of another size.
        ScanDataError: the data cannot be read.
    """
    scan = list_scans(data)[0]
    given, files = _split_paths(explicit)
    _refuse_fields_of_the_model(given)
    size = scan_frame_size(scan)
    path = Path(model_file) if isinstance(model_file, str | Path) else None
    model = load_model(path) if path is not None else model_file
    manifest = model.manifest if isinstance(model, TrainedModel) else None
    if manifest is not None:
        _check_fit(manifest, size, scan_name(scan))
        architecture = manifest.model.architecture
    found = _merge(
        ('inference', 'execution', 'orientation'),
        None,
        config_file,
        execution,
        Source('explicit', given, 'typed'),
        'reconstruction',
        architecture,
    )
    return InferenceRun(
        model=manifest.model if manifest else None,
        training=manifest.training if manifest else None,
        inference=cast('InferenceConfig', found['inference']),
        execution=cast('ExecutionConfig', found['execution']),
        orientation=cast('OrientationConfig', found['orientation']),
        model_file=path,
        **{'test_data': scan.path if isinstance(scan, ScanFile) else None, **files},
    )


def _merge(
    sections: tuple[str, ...],
    data: Source | None,
    config_file: str | Path | None,
    execution: ExecutionConfig | None,
    explicit: Source,
    job: Job,
    architecture: Architecture | None = None,
) -> dict[str, Config]:
    """Return the configs of some sections from all sources, without settings of no effect.

    Raises:
        ConfigError: with the faults of all sources.
    """
    configs = {section: SECTIONS[section] for section in sections}
    sources = [] if data is None else [data]
    faults: list[str] = []
    if config_file is not None:
        try:
            sources.append(read_file(Path(config_file), *sections))
        except ConfigError as error:
            faults += error.faults
    if execution is not None:
        named = {name: getattr(execution, name) for name in sorted(execution.model_fields_set)}
        sources.append(Source('execution config', named))
    sources.append(explicit)
    if job == 'training':
        architecture = chosen_architecture(sources)
        sources.insert(0, _architecture_source(architecture))
    sources, unused = drop_unused(configs, sources, architecture, job)
    try:
        merged = merge_sources(configs, sources)
    except ConfigError as error:
        faults += error.faults
    if faults or unused:
        raise ConfigError([*faults, *unused])
    return merged


def _architecture_source(architecture: Architecture) -> Source:
    """Return the settings whose defaults depend on the architecture."""
    values = {'architecture': architecture, **architecture_defaults(TrainingConfig, architecture)}
    return Source(f'architecture {architecture}', values, 'derived')


def _split_paths(explicit: Mapping[str, object]) -> tuple[dict[str, object], dict[str, Any]]:
    """Return settings and paths among what was given, in the names used here."""
    given = translate_legacy(explicit)
    return given, {name: given.pop(name) for name in _FILES if name in given}


def _data_source(scans: list[ScanData | ScanFile], sizes: dict[str, int]) -> Source:
    """Return the settings that follow from the data."""
    values: dict[str, object] = {}
    if len(set(sizes.values())) == 1:
        values['frame_size'] = next(iter(sizes.values()))
    if len(scans) == 1 and isinstance(scans[0], ScanData):
        values['nphotons'] = mean_photons(scans[0])
    return Source(f'data {", ".join(sizes)}', values, 'derived')


def _check_sizes(model: ModelConfig, sizes: dict[str, int]) -> None:
    """Refuse data of another frame size than the network's."""
    if ARCHITECTURES[model.architecture].fixed_frame_size and len(set(sizes.values())) > 1:
        found = ', '.join(f'{size} in {name}' for name, size in sizes.items())
        raise ScanDataError(
            [f'the {model.architecture} architecture needs frames of one size, got {found}']
        )
    if model.frame_size:
        faults = [
            f'frame_size is {model.frame_size}, but the frames of {name} have {size} pixels a side'
            for name, size in sizes.items()
            if size != model.frame_size
        ]
        if faults:
            raise ScanDataError(faults)


def _check_fit(manifest: Manifest, size: int, name: str) -> None:
    """Refuse a scan that the model's network cannot take."""
    fixed = ARCHITECTURES[manifest.model.architecture].fixed_frame_size
    if fixed and manifest.frame_size != size:
        raise ModelMismatchError(
            f'the model was trained on frames of {manifest.frame_size} pixels a side, those of '
            f'{name} have {size}; train one on such frames'
        )


def _refuse_fields_of_the_model(given: Mapping[str, object]) -> None:
    own = {*InferenceConfig.model_fields, *ExecutionConfig.model_fields}
    fixed = {*ModelConfig.model_fields, *TrainingConfig.model_fields} - own
    faults = [
        f'{name} is settled when a model is trained; leave it out of the reconstruction'
        for name in given
        if name in fixed
    ]
    if faults:
        raise ConfigError(faults)
