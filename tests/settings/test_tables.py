"""The tables of backends and architectures name what there is, and settings follow them."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import ptychopinn_plugin
from ptychopinn_plugin import ConfigError, ExecutionConfig, UnknownBackendError, make_engine
from ptychopinn_plugin.backends import registry
from ptychopinn_plugin.backends.registry import BACKENDS, with_backend
from ptychopinn_plugin.config import Architecture, Backend, ModelConfig, TrainingConfig
from ptychopinn_plugin.config.architectures import ARCHITECTURES
from ptychopinn_plugin.config.backend_names import BACKEND_NAMES, backend_display_name
from ptychopinn_plugin.config.base import field_traits, help_text

PACKAGE = Path(inspect.getfile(ptychopinn_plugin)).parent


def test_each_backend_and_architecture_has_one_row() -> None:
    assert tuple(BACKENDS) == tuple(BACKEND_NAMES) == get_args(Backend)
    assert tuple(ARCHITECTURES) == get_args(Architecture)
    for name, spec in BACKENDS.items():
        assert spec.name == name
        assert set(spec.only) <= set(ExecutionConfig.model_fields)


def test_the_names_of_other_programs_are_shown_as_they_are() -> None:
    assert backend_display_name('pytorch') == 'PyTorch'
    assert backend_display_name('pty-chi') == 'pty-chi'


def test_what_a_backend_cannot_do_is_refused_from_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = dataclasses.replace(BACKENDS['pytorch'], only={'threads': 0}, limitation='is alone')
    monkeypatch.setitem(registry.BACKENDS, 'pytorch', limited)
    with pytest.raises(ConfigError, match='"threads = 2", but it is alone; set threads to 0'):
        with_backend(ExecutionConfig(threads=2), 'pytorch')


@pytest.mark.parametrize(
    'call',
    [lambda: make_engine('jax'), lambda: with_backend(ExecutionConfig(), 'jax')],  # type: ignore[arg-type]
)
def test_an_unknown_backend_is_refused_by_its_own_error(call: Callable[[], Any]) -> None:
    with pytest.raises(UnknownBackendError, match="'jax'; it must be 'tensorflow' or 'pytorch'"):
        call()


def test_settings_of_one_architecture_say_so_in_their_help() -> None:
    field = TrainingConfig.model_fields['batch_size']
    assert field_traits(field).architecture == 'cnn'
    assert help_text(field) == f'{field.description} (cnn only)'
    for name in ARCHITECTURES:
        assert f'{name} (' in help_text(ModelConfig.model_fields['architecture'])


def test_no_module_outside_the_backends_compares_an_architecture_with_a_name() -> None:
    found = [
        f'{path.relative_to(PACKAGE)}: {line.strip()}'
        for path in PACKAGE.rglob('*.py')
        if 'backends' not in path.parts
        for line in path.read_text().splitlines()
        if any(f'{sign} {name!r}' in line for sign in ('==', '!=') for name in ARCHITECTURES)
    ]
    assert not found, 'use config.architectures.ARCHITECTURES: ' + '; '.join(found)
