"""Load, train, reconstruct, save in a few lines; the backend is chosen, never fallen back from."""

import dataclasses
import importlib.util
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptychopinn_plugin as pp
from ptychopinn_plugin.backends import registry
from tests.fake_engine import FakeEngine
from tests.helpers import make_scan


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put the fake engine in every backend's place; return the names that were asked for."""
    names: list[str] = []

    def engine_class(name: str) -> type[FakeEngine]:
        names.append(name)
        return FakeEngine

    monkeypatch.setattr('ptychopinn_plugin.api.engine_class', engine_class)
    monkeypatch.setattr(registry, '_is_installed', lambda name: name == 'pytorch')
    return names


def test_every_public_name_is_there() -> None:
    for name in pp.__all__:
        assert getattr(pp, name) is not None
    assert set(pp.__all__) <= set(dir(pp))


@pytest.mark.usefixtures('asked')
def test_a_scan_becomes_a_saved_object(tmp_path: Path) -> None:
    scan = make_scan()
    model = pp.train(scan, training=pp.TrainingConfig(epochs=2), model=pp.ModelConfig(width=8))
    pp.save_model(tmp_path / 'model.safetensors', model)
    result = pp.reconstruct(
        scan,
        model=tmp_path / 'model.safetensors',
        inference=pp.InferenceConfig(refine_iterations=3),
    )
    pp.save_reconstruction(tmp_path / 'object.npz', result, scan)
    pp.picture(result, tmp_path / 'object.png')
    again = pp.load_result(tmp_path / 'object.npz')
    np.testing.assert_array_equal(again.object_canvas, result.object_canvas)
    assert len(again.residual) == 3
    assert pp.load_model(tmp_path / 'model.safetensors').manifest.model.width == 8


def test_an_engine_serves_several_calls(asked: list[str]) -> None:
    engine = pp.make_engine('tensorflow')
    for _ in range(2):
        pp.reconstruct(make_scan(), engine=engine)
    assert asked == ['tensorflow']
    with pytest.raises(TypeError, match='not both'):
        pp.reconstruct(make_scan(), engine=engine, backend='pytorch')


def test_training_needs_a_scan(asked: list[str]) -> None:
    with pytest.raises(pp.ScanDataError, match='at least one scan'):
        pp.train([])
    assert asked == []


def test_a_named_backend_is_taken(asked: list[str]) -> None:
    scan = make_scan()
    pp.reconstruct(scan, backend='tensorflow')
    pp.reconstruct(scan, execution=pp.ExecutionConfig(backend='tensorflow'))
    pp.train(scan, backend='tensorflow', execution=pp.ExecutionConfig(backend='pytorch'))
    assert asked == ['tensorflow', 'tensorflow', 'tensorflow']


def test_the_installed_backend_is_taken_where_none_is_named(asked: list[str]) -> None:
    scan = make_scan()
    pp.reconstruct(scan)
    pp.train(scan, execution=pp.ExecutionConfig(threads=1))
    assert asked == ['pytorch', 'pytorch']


def test_an_unknown_backend_is_refused(asked: list[str]) -> None:
    with pytest.raises(ValueError, match='jax'):
        pp.reconstruct(make_scan(), backend='jax')  # type: ignore[arg-type]
    assert asked == []


@pytest.mark.parametrize(
    ('modules', 'chosen'),
    [
        ({'backends.pytorch', 'torch', 'lightning'}, 'pytorch'),
        ({'backends.tensorflow', 'tensorflow'}, 'tensorflow'),
        (
            {'backends.pytorch', 'torch', 'lightning', 'backends.tensorflow', 'tensorflow'},
            'tensorflow',
        ),
        # A framework without an engine of ours cannot be chosen.
        ({'backends.pytorch', 'torch', 'lightning', 'tensorflow'}, 'pytorch'),
    ],
)
def test_the_default_backend_is_one_that_is_installed(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    modules: set[str],
    chosen: str,
) -> None:
    monkeypatch.setattr(
        importlib.util,
        'find_spec',
        lambda name: object() if name.removeprefix('ptychopinn_plugin.') in modules else None,
    )
    with caplog.at_level(logging.INFO):
        assert registry.default_backend() == chosen
    assert chosen in caplog.text


def test_without_any_framework_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda _name: None)
    with pytest.raises(pp.BackendUnavailableError, match=r'ptychopinn-plugin\[pytorch\]'):
        registry.default_backend()


def test_a_status_has_versions_or_the_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> type[FakeEngine]:
        raise pp.BackendUnavailableError('not here')

    monkeypatch.setattr(registry, 'engine_class', missing)
    spec = dataclasses.replace(
        registry.BACKENDS['tensorflow'], packages=('no-such-package', 'numpy')
    )
    monkeypatch.setitem(registry.BACKENDS, 'tensorflow', spec)
    status = registry.backend_status('tensorflow')
    assert status.problem == 'not here'
    assert status.versions == {'no-such-package': '', 'numpy': np.__version__}
    assert status.devices == ()


@pytest.mark.usefixtures('asked')
def test_a_training_refuses_settings_of_the_other_architecture() -> None:
    with pytest.raises(pp.ConfigError, match='model_type has an effect with the architecture'):
        pp.train(make_scan(), model=pp.ModelConfig(model_type='supervised'))
    with pytest.raises(pp.ConfigError, match='batch_size has an effect'):
        pp.train(make_scan(), training=pp.TrainingConfig(batch_size=3))


@pytest.mark.usefixtures('asked')
def test_a_training_has_the_epochs_of_its_architecture() -> None:
    cnn = pp.train(make_scan(), model=pp.ModelConfig(architecture='cnn'))
    assert cnn.manifest.training.epochs == len(cnn.losses) == 60
    assert len(pp.train(make_scan()).losses) == 8


@pytest.mark.usefixtures('asked')
def test_a_reconstruction_remarks_on_settings_without_effect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pp.reconstruct(make_scan(), inference=pp.InferenceConfig(cnn_refine_iterations=3))
    assert "cnn_refine_iterations has an effect with the architecture 'cnn' only" in caplog.text


@pytest.mark.parametrize('name', ['jax', 'PyTorch'])
def test_an_unknown_backend_is_named_by_its_own_error(name: str) -> None:
    backend: Any = name
    for ask in (pp.make_engine, lambda backend: pp.train(make_scan(), backend=backend)):
        with pytest.raises(pp.UnknownBackendError, match="'tensorflow' or 'pytorch'"):
            ask(backend)
