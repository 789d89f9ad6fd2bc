"""The typed switch: unknown names, missing frameworks."""

import sys

import pytest

from ptychopinn_plugin.engines import engine_class
from ptychopinn_plugin.errors import BackendUnavailableError, UnknownBackendError


@pytest.mark.parametrize('name', ['jax', '', 'PyTorch', 'torch'])
def test_another_name_is_refused_naming_both(name: str) -> None:
    with pytest.raises(UnknownBackendError, match=r"'tensorflow' or 'pytorch'") as caught:
        engine_class(name)
    assert repr(name) in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_missing_torch_names_the_extra_and_keeps_the_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in list(sys.modules):
        if module.startswith('ptychopinn_plugin.engines.pytorch'):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, 'torch', None)
    with pytest.raises(BackendUnavailableError) as caught:
        engine_class('pytorch')
    assert 'PyTorch backend selected' in str(caught.value)
    assert "pip install 'ptychopinn-plugin[pytorch]'" in str(caught.value)
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.pytorch
def test_pytorch_engine_says_its_name() -> None:
    assert engine_class('pytorch').backend == 'pytorch'


def test_tensorflow_has_no_engine_yet() -> None:
    with pytest.raises(
        BackendUnavailableError, match=r'TensorFlow backend selected.*no TensorFlow engine yet'
    ):
        engine_class('tensorflow')
