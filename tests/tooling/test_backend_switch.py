"""The typed switch: unknown names, missing frameworks."""

import sys

import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.errors import BackendUnavailableError, UnknownBackendError


@pytest.mark.parametrize('name', ['jax', '', 'PyTorch', 'torch'])
def test_another_name_is_refused_naming_both(name: str) -> None:
    with pytest.raises(UnknownBackendError, match=r"'tensorflow' or 'pytorch'") as caught:
        engine_class(name)
    assert repr(name) in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ('backend', 'name', 'module'),
    [
        ('pytorch', 'PyTorch', 'torch'),
        ('pytorch', 'PyTorch', 'lightning'),
        ('tensorflow', 'TensorFlow', 'tensorflow'),
    ],
)
def test_a_missing_framework_names_the_extra_and_keeps_the_cause(
    monkeypatch: pytest.MonkeyPatch, backend: str, name: str, module: str
) -> None:
    for loaded in list(sys.modules):
        if loaded.startswith(f'ptychopinn_plugin.backends.{backend}'):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendUnavailableError) as caught:
        engine_class(backend)
    assert f'{name} backend selected' in str(caught.value)
    assert f"pip install 'ptychopinn-plugin[{backend}]'" in str(caught.value)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value.__cause__, ImportError)


def test_an_engine_says_its_name(backend: Backend) -> None:
    assert engine_class(backend).backend == backend
