"""Every field of the configs is a setting of Ptychodus and survives settings.ini."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any, get_args

import pytest
from ptychodus.api.settings import SettingsRegistry

from ptychopinn_plugin.config import (
    CheckpointConfig,
    Config,
    DetectorConfig,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.base import field_choices, field_traits
from ptychopinn_plugin.errors import SettingsValueError
from ptychopinn_plugin.hosts.ptychodus.library import PtychoPINNReconstructorLibrary
from ptychopinn_plugin.hosts.ptychodus.parameters import PluginSettings

CONFIGS: list[type[Config]] = [
    ModelConfig,
    TrainingConfig,
    InferenceConfig,
    ExecutionConfig,
    OrientationConfig,
    DetectorConfig,
    CheckpointConfig,
]


def changed(config: type[Config], name: str) -> Any:
    """Return a value other than the default."""
    field = config.model_fields[name]
    others = [choice for choice in field_choices(field) if choice != field.default]
    if field_choices(field):
        return others[0] if others else field.default
    if isinstance(field.default, bool):
        return not field.default
    if isinstance(field.default, int):
        return field.default + 1
    if isinstance(field.default, str):
        return 'dark.npy'
    return field.default / 2


def section(config: type[Config]) -> str:
    return 'PtychoPINNPlugin' + config.__name__.removesuffix('Config')


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        'ptychopinn_plugin.backends.registry._is_installed', lambda name: name == 'pytorch'
    )


@pytest.mark.usefixtures('installed')
def test_settings_start_on_the_defaults_and_an_installed_backend() -> None:
    read = PluginSettings(SettingsRegistry()).read()
    assert read.model == ModelConfig()
    assert read.training == TrainingConfig()
    assert read.inference == InferenceConfig()
    assert read.execution == ExecutionConfig(backend='pytorch')


@pytest.mark.parametrize('config', CONFIGS)
def test_every_field_survives_the_file(config: type[Config], tmp_path: Path) -> None:
    registry = SettingsRegistry()
    PluginSettings(registry)
    group = registry[section(config)]
    wanted = {name: changed(config, name) for name in config.model_fields}
    for name, value in wanted.items():
        parameter = group.parameters()[name]
        parameter.set_value(str(value) if isinstance(parameter.get_value(), str) else value)
    registry.save_settings(tmp_path / 'settings.ini')

    fresh = SettingsRegistry()
    settings = PluginSettings(fresh)
    fresh.open_settings(tmp_path / 'settings.ini')
    (read,) = [group for group in settings if group.config_class is config]
    assert read.read().model_dump() == wanted


def test_the_file_of_a_user_is_read_whatever_the_case(tmp_path: Path) -> None:
    parser = configparser.ConfigParser()
    parser['PtychoPINNPluginInference'] = {'Refine_Iterations': '7', 'update_probe': 'yes'}
    with (tmp_path / 'settings.ini').open('w') as file:
        parser.write(file)
    registry = SettingsRegistry()
    settings = PluginSettings(registry)
    registry.open_settings(tmp_path / 'settings.ini')
    assert settings.inference.read() == InferenceConfig(refine_iterations=7, update_probe='on')
    # A drop-down list shows it as well.
    assert settings.inference.parameters['update_probe'].get_value() == 'on'


def test_observers_are_notified_of_changes() -> None:
    from ptychodus.api.observer import Observable, Observer

    class Counter(Observer):
        changes = 0

        def _update(self, observable: Observable) -> None:
            self.changes += 1

    settings, counter = PluginSettings(SettingsRegistry()).training, Counter()
    settings.add_observer(counter)
    settings.parameters['epochs'].set_value(3)
    assert counter.changes == 1
    assert settings.read().epochs == 3


def test_a_backend_that_is_none_is_refused_with_the_two_names() -> None:
    settings = PluginSettings(SettingsRegistry()).execution
    settings.parameters['backend'].set_value('jax')
    with pytest.raises(SettingsValueError) as caught:
        settings.read()
    for word in ('PtychoPINNPluginExecution.backend', "'tensorflow'", "'pytorch'", "'jax'"):
        assert word in str(caught.value)


@pytest.mark.usefixtures('installed')
def test_a_backend_that_is_not_installed_stays_chosen() -> None:
    settings = PluginSettings(SettingsRegistry()).execution
    settings.parameters['backend'].set_value('tensorflow')
    assert settings.read().backend == 'tensorflow'


def test_values_out_of_range_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    settings = PluginSettings(SettingsRegistry()).training
    settings.parameters['steps_per_epoch'].set_value(0)
    assert settings.read().steps_per_epoch == 1
    outside = 'PtychoPINNPluginTraining.steps_per_epoch = 0 is outside its range; 1 is taken'
    assert outside in caplog.text
    inference = PluginSettings(SettingsRegistry()).inference
    inference.parameters['object_step'].set_value(0.0)
    with pytest.raises(SettingsValueError, match=r'object_step.*greater than 0'):
        inference.read()


def test_a_value_on_its_bound_is_within_its_range(caplog: pytest.LogCaptureFixture) -> None:
    settings = PluginSettings(SettingsRegistry())
    settings.execution.parameters['learning_rate'].set_value(0)
    settings.training.parameters['realspace_weight'].set_value(1e6)
    assert settings.execution.read().learning_rate == 0
    assert settings.training.read().realspace_weight == 1e6
    assert not caplog.records


def test_ranges_are_those_of_the_fields() -> None:
    parameters: dict[str, Any] = PluginSettings(SettingsRegistry()).training.parameters
    assert parameters['steps_per_epoch'].get_minimum() == 1
    assert parameters['epochs'].get_minimum() == 0  # automatic
    assert parameters['epochs'].get_maximum() == 100_000
    assert get_args(ModelConfig.model_fields['architecture'].annotation)


def test_fields_say_the_architecture_that_they_are_for() -> None:
    model = ModelConfig.model_fields
    assert field_traits(model['gridsize']).architecture == 'cnn'
    assert field_traits(model['width']).architecture == 'unrolled'
    assert field_traits(model['architecture']).architecture is None
    assert field_traits(ExecutionConfig.model_fields['accelerator']).architecture is None


def test_settings_that_do_not_go_together_are_reported_without_a_name() -> None:
    settings = PluginSettings(SettingsRegistry()).execution
    settings.parameters['accelerator'].set_value('mps')
    settings.parameters['devices'].set_value(2)
    with pytest.raises(SettingsValueError) as caught:
        settings.read()
    assert str(caught.value).startswith("settings PtychoPINNPluginExecution: accelerator 'mps'")


def test_epochs_are_those_of_the_architecture_unless_they_are_set(tmp_path: Path) -> None:
    registry = SettingsRegistry()
    library = PtychoPINNReconstructorLibrary(registry)
    pinn, supervised = iter(library)

    def epochs() -> list[int]:
        return [each._configs().training.epochs for each in (pinn, supervised)]

    assert epochs() == [8, 60]
    library.settings.model.parameters['architecture'].set_value('cnn')
    assert epochs() == [60, 60]
    registry.save_settings(tmp_path / 'settings.ini')
    library.settings.training.parameters['epochs'].set_value(20)
    assert epochs() == [20, 20]
    registry.open_settings(tmp_path / 'settings.ini')
    assert epochs() == [60, 60]


def test_supervised_training_is_an_algorithm_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    library = PtychoPINNReconstructorLibrary(SettingsRegistry())
    library.settings.model.parameters['model_type'].set_value('supervised')
    pinn, supervised = iter(library)
    assert supervised._configs().model.model_type == 'supervised'
    assert not caplog.records
    assert pinn._configs().model.model_type == 'pinn'
    assert 'choose ptychopinn-plugin_supervised' in caplog.text
