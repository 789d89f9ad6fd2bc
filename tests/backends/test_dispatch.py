"""A chosen backend computes or says why not, whoever asks; another one never steps in."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ptychopinn_plugin as pp
from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.scan import ScanData
from tests.conftest import BACKENDS
from tests.helpers import make_scan

NAMES = {'pytorch': 'PyTorch', 'tensorflow': 'TensorFlow'}
MODULES = {'pytorch': 'torch', 'tensorflow': 'tensorflow'}
TINY = pp.ModelConfig(width=4, levels=1, blocks=1)
SHORT = pp.TrainingConfig(
    epochs=1, steps_per_epoch=1, crop_frames=9, reference_passes=1, validation_episodes=1
)
BRIEF = pp.InferenceConfig(refine_iterations=1)
CPU = pp.ExecutionConfig(accelerator='cpu', logger='none')


def train(scan: ScanData, backend: Backend) -> pp.TrainedModel:
    return pp.train(scan, backend=backend, model=TINY, training=SHORT, execution=CPU)


def reconstruct(
    scan: ScanData, backend: Backend, model: pp.TrainedModel | Path | None = None
) -> pp.Reconstruction:
    return pp.reconstruct(scan, model=model, backend=backend, inference=BRIEF, execution=CPU)


@pytest.mark.parametrize('ask', [train, reconstruct])
@pytest.mark.parametrize('name', ['jax', 'PyTorch', ''])
def test_another_name_is_a_value_error(ask: Callable[..., object], name: str) -> None:
    with pytest.raises(ValueError, match="'tensorflow' or 'pytorch'"):
        ask(make_scan(side=3), name)


@pytest.mark.parametrize('ask', [train, reconstruct])
@pytest.mark.parametrize('missing', BACKENDS)
def test_a_missing_framework_is_not_stood_in_for(
    ask: Callable[..., object], missing: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in list(sys.modules):
        if loaded.startswith(f'ptychopinn_plugin.backends.{missing}'):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, MODULES[missing], None)
    with pytest.raises(RuntimeError, match=f'^{NAMES[missing]} backend selected') as caught:
        ask(make_scan(side=3), missing)
    assert isinstance(caught.value, pp.BackendUnavailableError)
    assert f"pip install 'ptychopinn-plugin[{missing}]'" in str(caught.value)
    assert isinstance(caught.value.__cause__, ImportError)


def test_whatever_is_made_says_by_whom(backend: Backend, tmp_path: Path) -> None:
    scan = make_scan(side=4)
    model = train(scan, backend)
    assert model.manifest.backend == backend
    assert reconstruct(scan, backend).backend == backend

    # Whoever trained a model, it is the one who computes that a result names.
    other = BACKENDS[1 - BACKENDS.index(backend)]
    manifest = model.manifest.model_copy(update={'backend': other})
    path = tmp_path / 'model.safetensors'
    pp.save_model(path, dataclasses.replace(model, manifest=manifest))
    assert pp.load_model(path).manifest.backend == other
    assert reconstruct(scan, backend, path).backend == backend
