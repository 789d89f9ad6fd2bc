"""Both frameworks in one process, as in a notebook that compares them."""

import sys
from pathlib import Path

import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.errors import BackendUnavailableError


def test_triton_is_loaded_before_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in list(sys.modules):
        if loaded.startswith('ptychopinn_plugin.backends.tensorflow') or loaded == 'triton':
            monkeypatch.delitem(sys.modules, loaded)
    (tmp_path / 'triton.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    # Stands for the import of TensorFlow, of which there was none before.
    monkeypatch.setitem(sys.modules, 'tensorflow', None)
    with pytest.raises(BackendUnavailableError):
        engine_class('tensorflow')
    # Not by monkeypatch, which would put the file back for the tests that follow.
    assert sys.modules.pop('triton').__file__ == str(tmp_path / 'triton.py')
