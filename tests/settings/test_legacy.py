"""Names of the research code: read with a warning, written as one flat dictionary."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin import (
    ConfigError,
    LegacyNameWarning,
    create_inference_config,
    create_training_config,
    legacy_parameters,
    translate_legacy,
)
from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from tests.helpers import make_scan

SCAN = make_scan(side=2)
# All settings that the flat dictionary has, none at its default.
CHANGED: dict[str, Any] = {
    'gridsize': 3,
    'n_filters_scale': 3,
    'model_type': 'supervised',
    'amp_activation': 'swish',
    'object_big': False,
    'probe_big': False,
    'probe_mask': True,
    'pad_object': False,
    'probe_scale': 4.0,
    'gaussian_smoothing_sigma': 0.5,
    'probe_trainable': True,
    'intensity_scale_trainable': False,
    'nphotons': 1e7,
    'epochs': 3,
    'batch_size': 8,
    'mae_weight': 0.25,
    'nll_weight': 0.5,
    'realspace_weight': 0.125,
    'realspace_mae_weight': 2.0,
    'neighbor_count': 7,
    'n_groups': 64,
    'n_subsample': 100,
    'subsample_seed': 5,
    'sequential_sampling': True,
}


@pytest.mark.parametrize(
    ('old', 'value', 'new', 'taken'),
    [
        ('max_epochs', 3, 'epochs', 3),
        ('nepochs', 3, 'epochs', 3),
        ('n_images', 64, 'n_groups', 64),
        ('nimages', 64, 'n_groups', 64),
        ('N', 128, 'frame_size', 128),
        ('K', 6, 'neighbor_count', 6),
        ('lr', 1e-3, 'learning_rate', 1e-3),
        ('device', 'gpu', 'accelerator', 'cuda'),
        ('device', 'cpu', 'accelerator', 'cpu'),
        ('accelerator', 'gpu', 'accelerator', 'cuda'),
        ('torch_num_workers', 2, 'num_workers', 2),
        ('accumulate_grad_batches', 2, 'accum_steps', 2),
        ('disable_mlflow', True, 'logger', 'none'),
        ('object.big', False, 'object_big', False),
        ('probe.trainable', True, 'probe_trainable', True),
        ('intensity_scale.trainable', False, 'intensity_scale_trainable', False),
        ('amp_activation', 'silu', 'amp_activation', 'swish'),
        ('mode', 'Unsupervised', 'model_type', 'pinn'),
        ('n_subsample', None, 'n_subsample', 0),
        ('train_data_file', 'a.npz', 'train_data', 'a.npz'),
        ('output_prefix', 'out', 'output', 'out'),
    ],
)
def test_an_old_name_is_translated_with_a_warning(
    old: str, value: object, new: str, taken: object
) -> None:
    with pytest.warns(LegacyNameWarning, match=f'"{old} = .* now "{new} = '):
        assert translate_legacy({old: value}) == {new: taken}


@pytest.mark.parametrize(
    ('old', 'value'),
    [('positions.provided', True), ('disable_mlflow', False), ('test_data_file_path', '')],
)
def test_what_says_nothing_here_is_left_out(old: str, value: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', LegacyNameWarning)
        assert translate_legacy({old: value, 'epochs': 2}) == {'epochs': 2}


def test_names_of_today_pass_in_silence() -> None:
    given = {**CHANGED, 'colour': 'left for the factories to refuse'}
    assert translate_legacy(given) == given
    with pytest.raises(ConfigError, match='colour'):
        create_training_config(SCAN, **given)


def test_one_setting_under_two_names_is_refused() -> None:
    with pytest.warns(LegacyNameWarning), pytest.raises(ConfigError, match='are both epochs'):
        translate_legacy({'epochs': 3, 'max_epochs': 4})
    with pytest.warns(LegacyNameWarning), pytest.raises(ConfigError, match='are both logger'):
        translate_legacy({'disable_mlflow': True, 'logger': 'csv'})


def test_positions_are_always_provided() -> None:
    with pytest.warns(LegacyNameWarning), pytest.raises(ConfigError, match='with its positions'):
        translate_legacy({'positions.provided': False})


def test_nothing_is_changed_in_place_or_kept() -> None:
    given = {'max_epochs': 3}
    with pytest.warns(LegacyNameWarning):
        first = translate_legacy(given)
    with pytest.warns(LegacyNameWarning):
        assert translate_legacy(given) == first
    assert given == {'max_epochs': 3}
    run = create_training_config(SCAN)
    legacy_parameters(run)['N'] = 7
    assert legacy_parameters(run)['N'] == SCAN.frame_size


def test_the_flat_dictionary_has_every_setting(tmp_path: Path) -> None:
    np.savez(tmp_path / 's.npz', probeGuess=np.zeros((64, 64), np.complex64))
    run = create_training_config(
        tmp_path / 's.npz', test_data='t.npz', output='out', architecture='cnn', **CHANGED
    )
    assert legacy_parameters(run) == {
        'N': 64,
        'gridsize': 3,
        'n_filters_scale': 3,
        'model_type': 'supervised',
        'amp_activation': 'swish',
        'object.big': False,
        'probe.big': False,
        'probe.mask': True,
        'probe.trainable': True,
        'intensity_scale.trainable': False,
        'pad_object': False,
        'probe_scale': 4.0,
        'gaussian_smoothing_sigma': 0.5,
        'nphotons': 1e7,
        'nepochs': 3,
        'batch_size': 8,
        'mae_weight': 0.25,
        'nll_weight': 0.5,
        'realspace_weight': 0.125,
        'realspace_mae_weight': 2.0,
        'neighbor_count': 7,
        'n_groups': 64,
        'n_subsample': 100,
        'subsample_seed': 5,
        'sequential_sampling': True,
        'positions.provided': True,
        'train_data_file_path': str(tmp_path / 's.npz'),
        'test_data_file_path': 't.npz',
        'output_prefix': 'out',
    }


def test_every_changed_setting_is_one() -> None:
    defaults = {**ModelConfig().model_dump(), **TrainingConfig().model_dump()}
    assert all(defaults[name] != value for name, value in CHANGED.items())


def test_the_flat_dictionary_read_again_gives_the_same_run(tmp_path: Path) -> None:
    np.savez(tmp_path / 's.npz', probeGuess=np.zeros((64, 64), np.complex64))
    run = create_training_config(
        tmp_path / 's.npz', test_data='t.npz', output='o', architecture='cnn', **CHANGED
    )
    stored = json.loads(json.dumps(legacy_parameters(run)))  # plain types only
    with pytest.warns(LegacyNameWarning):
        settings = translate_legacy(stored)
    data = Path(str(settings.pop('train_data')))
    assert create_training_config(data, architecture='cnn', **settings) == run


@pytest.mark.parametrize(('gridsize', 'neighbors'), [(1, 1), (2, 3), (3, 8)])
def test_the_nearest_frames_of_a_group_are_said_in_numbers(gridsize: int, neighbors: int) -> None:
    run = create_training_config(SCAN, architecture='cnn', gridsize=gridsize)
    assert run.training.neighbor_count == 0
    assert legacy_parameters(run)['neighbor_count'] == neighbors


def test_a_reconstruction_has_its_own_groups() -> None:
    run = create_inference_config(SCAN, architecture='cnn', n_groups=9)
    assert legacy_parameters(run)['n_groups'] == 9
    assert legacy_parameters(run)['train_data_file_path'] == ''


def test_what_the_research_code_has_no_number_for_is_none_or_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / 's.npz', probeGuess=np.zeros((64, 64), np.complex64))
    found = legacy_parameters(create_training_config(tmp_path / 's.npz', architecture='cnn'))
    assert (found['n_groups'], found['n_subsample']) == (None, None)
    assert 'nphotons' not in found  # those of the frames, which were not read
    assert found['N'] == 64
    alone = legacy_parameters(create_inference_config(SCAN))
    assert 'N' not in alone
    assert 0 not in {alone['n_groups'], alone['n_subsample'], alone['neighbor_count']}


@pytest.mark.parametrize('name', ['nepochs', 'n_images', 'object.big', 'torch_num_workers'])
def test_settings_in_names_of_ptychopinn_are_for_its_network(name: str) -> None:
    given: dict[str, Any] = {name: False if name == 'object.big' else 3}
    with pytest.warns(LegacyNameWarning):
        assert create_training_config(SCAN, **given).model.architecture == 'cnn'


def test_a_file_in_names_of_ptychopinn_is_for_its_network(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / 's.yaml').write_text('nepochs: 3\ngridsize: 1\n')
    with pytest.warns(LegacyNameWarning):
        run = create_training_config(SCAN, config_file=tmp_path / 's.yaml')
    assert (run.model.architecture, run.model.gridsize) == ('cnn', 1)
    assert "architecture = 'cnn'" in caplog.text


def test_an_architecture_that_is_set_is_kept(tmp_path: Path) -> None:
    (tmp_path / 's.toml').write_text('architecture = "unrolled"\n')
    with pytest.warns(LegacyNameWarning):
        run = create_training_config(SCAN, config_file=tmp_path / 's.toml', nepochs=3)
    assert run.model.architecture == 'unrolled'
    # Names of every program that trains do not ask for a network.
    with pytest.warns(LegacyNameWarning):
        assert create_training_config(SCAN, lr=1e-3).model.architecture == 'unrolled'
