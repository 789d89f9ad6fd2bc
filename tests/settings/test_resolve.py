"""Explicit arguments beat the execution config, that the file, that the data, they the defaults."""

import dataclasses
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin import (
    ConfigError,
    ExecutionConfig,
    ModelMismatchError,
    ScanDataError,
    TrainedModel,
    TrainingConfig,
    create_inference_config,
    create_training_config,
    save_model,
)
from ptychopinn_plugin.config import InferenceConfig, ModelConfig
from ptychopinn_plugin.io.model_file import Manifest
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.worker.error_codec import pack_error, unpack_error
from tests.helpers import make_scan

SIZE = 32


@pytest.fixture
def scan_file(tmp_path: Path) -> Path:
    save_npz(tmp_path / 'scan.npz', make_scan(frame_size=SIZE, side=2))
    return tmp_path / 'scan.npz'


@pytest.fixture
def overrides(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Give the lines of the log, filled as the test goes on."""
    with caplog.at_level(logging.INFO, 'ptychopinn_plugin'):
        lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger('ptychopinn_plugin.settings')
        logger.addHandler(handler)
        yield lines
        logger.removeHandler(handler)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def trained(architecture: str = 'cnn', frame_size: int = SIZE) -> TrainedModel:
    scan = make_scan(side=2)
    return TrainedModel(
        {'gain': np.ones(1, np.float32)},
        scan.probe,
        np.ones((1, 2)),
        Manifest(
            package_version='1',
            backend='pytorch',
            model=ModelConfig.model_validate({'architecture': architecture, 'gridsize': 2}),
            training=TrainingConfig(epochs=7),
            frame_size=frame_size,
        ),
    )


def test_each_source_beats_the_weaker_ones(
    scan_file: Path, tmp_path: Path, overrides: list[str]
) -> None:
    file = write(
        tmp_path / 's.toml',
        'learning_rate = 1e-4\naccum_steps = 2\nthreads = 3\nepochs = 4\nframe_size = 32\n'
        '[model]\nwidth = 12\n[inference]\nsubsets = 2\n',
    )
    run = create_training_config(
        scan_file,
        execution=ExecutionConfig(accum_steps=5, threads=6),
        config_file=file,
        threads=7,
        width=9,
    )
    assert run.execution.logger == 'csv'  # default
    assert run.model.frame_size == SIZE  # data
    assert run.execution.learning_rate == 1e-4  # file
    assert run.training.epochs == 4
    assert run.execution.accum_steps == 5  # execution config
    assert run.execution.threads == 7  # explicit
    assert run.model.width == 9
    assert overrides == [
        f'model.frame_size: 0 -> 32 (data {scan_file})',
        'model.width: 32 -> 12 (s.toml)',
        'training.epochs: 8 -> 4 (s.toml)',
        'execution.learning_rate: 0.0 -> 0.0001 (s.toml)',
        'execution.accum_steps: 1 -> 2 (s.toml)',
        'execution.threads: 0 -> 3 (s.toml)',
        'execution.accum_steps: 2 -> 5 (execution config)',
        'execution.threads: 3 -> 6 (execution config)',
        'execution.threads: 6 -> 7 (explicit)',
        'model.width: 12 -> 9 (explicit)',
    ]


def test_what_the_execution_config_was_not_given_beats_nothing(
    scan_file: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / 's.toml', '[execution]\nthreads = 3\nbackend = "pytorch"\n')
    execution = ExecutionConfig(logger='none')
    run = create_training_config(scan_file, execution=execution, config_file=file)
    assert (run.execution.threads, run.execution.logger) == (3, 'none')
    assert run.execution.backend == 'pytorch'
    # So that the installed backend is taken where none was named.
    bare = create_training_config(scan_file, execution=execution)
    assert 'backend' not in bare.execution.model_fields_set


def test_a_value_set_back_to_its_default_beats_the_file(scan_file: Path, tmp_path: Path) -> None:
    file = write(tmp_path / 's.toml', 'threads = 3\nepochs = 4\n')
    run = create_training_config(
        scan_file, execution=ExecutionConfig(threads=0), config_file=file, epochs=8
    )
    assert (run.execution.threads, run.training.epochs) == (0, 8)


def test_photons_come_from_the_counts_of_a_scan() -> None:
    scan = make_scan(frame_size=SIZE, side=2, bad_pixels=5)
    scan.counts[:, scan.mask] = 1e6
    run = create_training_config(scan, architecture='cnn')
    good = scan.counts[:, ~scan.mask].sum(dtype=np.float64) / scan.frame_count
    assert run.training.nphotons == pytest.approx(good, rel=1e-12)
    typed = create_training_config(scan, architecture='cnn', nphotons=5.0)
    assert typed.training.nphotons == 5
    # Scans of several doses keep their own.
    several = create_training_config([scan, scan], architecture='cnn')
    assert several.training.nphotons == 0
    assert several.model.frame_size == SIZE


def test_scans_of_several_sizes_are_for_the_unrolled_network_only() -> None:
    scans = [make_scan(frame_size=16, side=2), make_scan(frame_size=SIZE, side=2)]
    scans = [dataclasses.replace(s, source=f'scan {s.frame_size}') for s in scans]
    assert create_training_config(scans).model.frame_size == 0
    with pytest.raises(ScanDataError, match='one size, got 16 in scan 16, 32 in scan 32'):
        create_training_config(scans, architecture='cnn')


def test_other_data_than_asked_for_are_refused(scan_file: Path) -> None:
    with pytest.raises(ScanDataError, match=r'frame_size is 64, but .*scan.npz have 32 pixels'):
        create_training_config(scan_file, frame_size=64)


def test_all_faults_are_reported_at_once(scan_file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        create_training_config(scan_file, epochs=0, learning_rat=1e-3, xyz=1, gridsize='big')
    assert len(caught.value.faults) == 4
    for sentence in (
        'explicit: epochs: input should be greater than or equal to 1, got 0',
        "explicit: there is no setting 'learning_rat'; did you mean learning_rate?",
        "explicit: there is no setting 'xyz'; leave it out",
        'gridsize',
    ):
        assert any(sentence in fault for fault in caught.value.faults)


def test_the_error_is_the_same_from_a_worker() -> None:
    error = unpack_error(pack_error(ConfigError(['epochs: too few', 'width: too wide'])))
    assert isinstance(error, ConfigError)
    assert str(error) == 'epochs: too few; width: too wide'


def test_paths_are_kept(scan_file: Path) -> None:
    run = create_training_config(str(scan_file), test_data='other.npz', output='out')
    assert run.train_data == (scan_file,)
    assert (run.test_data, run.output) == (Path('other.npz'), Path('out'))
    assert create_training_config(make_scan(side=2)).train_data == ()


def test_a_run_cannot_be_changed(scan_file: Path) -> None:
    run = create_training_config(scan_file)
    with pytest.raises(ValueError, match='frozen'):
        run.training = TrainingConfig()  # type: ignore[misc]


def test_a_reconstruction_has_the_network_of_its_model(scan_file: Path, tmp_path: Path) -> None:
    save_model(tmp_path / 'm.safetensors', trained())
    run = create_inference_config(
        scan_file, model_file=tmp_path / 'm.safetensors', cnn_refine_iterations=2, threads=1
    )
    assert run.model == ModelConfig(architecture='cnn', gridsize=2)
    assert run.training == TrainingConfig(epochs=7)
    assert (run.inference.cnn_refine_iterations, run.execution.threads) == (2, 1)
    assert (run.model_file, run.test_data) == (tmp_path / 'm.safetensors', scan_file)
    alone = create_inference_config(make_scan(side=2))
    assert (alone.model, alone.training, alone.inference) == (None, None, InferenceConfig())


def test_a_model_for_other_frames_is_refused_at_once(scan_file: Path) -> None:
    with pytest.raises(ModelMismatchError, match=r'frames of 64 pixels a side, those of .* 32'):
        create_inference_config(scan_file, model_file=trained(frame_size=64))
    # The unrolled network takes frames of any size.
    create_inference_config(scan_file, model_file=trained('unrolled', frame_size=64))


def test_nothing_of_the_model_is_settled_by_a_reconstruction(scan_file: Path) -> None:
    with pytest.raises(ConfigError, match='gridsize is settled when a model is trained'):
        create_inference_config(scan_file, gridsize=2)
    # Frames and groups are chosen anew.
    run = create_inference_config(scan_file, model_file=trained(), n_groups=8)
    assert run.inference.n_groups == 8


def test_there_must_be_data() -> None:
    nothing: list[ScanData] = []
    with pytest.raises(ScanDataError, match='at least one scan'):
        create_training_config(nothing)


def test_a_name_stands_for_one_setting_of_a_run() -> None:
    # What the factories' keywords rest on.
    for sections in (
        (ModelConfig, TrainingConfig, ExecutionConfig),
        (InferenceConfig, ExecutionConfig),
    ):
        names = [name for config in sections for name in config.model_fields]
        assert len(names) == len(set(names))


def test_old_names_are_taken_with_a_warning(scan_file: Path) -> None:
    with pytest.warns(FutureWarning, match=re.escape('"max_epochs = 3" is written the old way')):
        run = create_training_config(scan_file, max_epochs=3)
    assert run.training.epochs == 3
