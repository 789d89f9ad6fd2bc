"""Training and reconstruction with the published network, on every backend."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import Cancelled, CollapseError, ModelMismatchError, ScanDataError
from ptychopinn_plugin.io.model_file import TrainedModel, load_model, save_model
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.cnn.architecture import initial_weights, weight_shapes
from ptychopinn_plugin.scan import Reconstruction, ScanData
from tests.helpers import make_known_scan, make_scan

TRAINING = {'epochs': 1, 'batch_size': 8, 'n_groups': 8, 'validation_fraction': 0.3}


def cnn(**fields: Any) -> ModelConfig:
    return ModelConfig.model_validate({'architecture': 'cnn', 'gridsize': 1, **fields})


def training(**fields: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({**TRAINING, **fields})


@pytest.fixture
def engine(backend: Backend) -> Engine:
    return made(backend)


def made(backend: Backend, **fields: Any) -> Engine:
    """Return an engine that is repeatable and logs nothing."""
    execution = {'backend': backend, 'accelerator': 'cpu', 'logger': 'none', **fields}
    return engine_class(backend)(ExecutionConfig.model_validate(execution))


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=64, side=4, step_px=6.0, photons=1e5, bad_pixels=20)


@pytest.fixture(scope='module')
def models(scan: ScanData) -> dict[str, TrainedModel]:
    """Return a place for one model a backend: they are trained when first asked for."""
    return {}


@pytest.fixture
def model(engine: Engine, scan: ScanData, models: dict[str, TrainedModel]) -> TrainedModel:
    if engine.backend not in models:
        models[engine.backend] = engine.fit(
            [scan], cnn(), training(epochs=2, batch_size=2), Monitor()
        )
    return models[engine.backend]


def test_training_gives_the_weights_of_the_network(model: TrainedModel) -> None:
    shapes = weight_shapes(model.manifest.model, 64, 1)
    assert {name: value.shape for name, value in model.weights.items()} == shapes
    assert model.losses.shape == (2, 2)
    assert np.isfinite(model.losses).all()
    assert model.losses[1, 0] < model.losses[0, 0]
    assert model.manifest.frame_size == 64


def test_a_saved_model_reconstructs_the_same(
    engine: Engine, scan: ScanData, model: TrainedModel, tmp_path: Path
) -> None:
    save_model(tmp_path / 'model.safetensors', model)
    loaded = load_model(tmp_path / 'model.safetensors')
    found, wanted = (
        engine.reconstruct(scan, InferenceConfig(), one, Monitor()) for one in (loaded, model)
    )
    assert found.object_canvas.dtype == np.complex64
    assert np.array_equal(found.object_canvas, wanted.object_canvas, equal_nan=True)
    assert np.array_equal(np.isnan(found.object_canvas), found.coverage <= 1e-4)
    assert found.stages == ('network',)
    assert found.backend == engine.backend
    assert found.model_name == model.manifest.weights_fingerprint
    assert found.losses == tuple(model.losses[:, 0])


@pytest.mark.parametrize('fields', [{}, {'output_form': 'real_imag', 'probe_big': False}])
def test_bfloat16_changes_the_object_by_its_rounding_only(
    backend: Backend, scan: ScanData, model: TrainedModel, fields: dict[str, Any]
) -> None:
    if fields:
        model = made(backend).fit([scan], cnn(**fields), training(), Monitor())
    wanted, found = (
        made(backend, inference_precision=precision).reconstruct(
            scan, InferenceConfig(estimate_errors=False), model, Monitor()
        )
        for precision in ('float32', 'bfloat16')
    )
    lit = np.isfinite(wanted.object_canvas)
    difference = np.linalg.norm((found.object_canvas - wanted.object_canvas)[lit])
    # 2^-9 is the rounding of one number.
    assert 1e-5 < difference / np.linalg.norm(wanted.object_canvas[lit] - 1) < 2e-2
    assert found.residual[0] == pytest.approx(wanted.residual[0], rel=2e-2)


def test_a_training_in_bfloat16_differs_by_its_rounding_only(
    backend: Backend, scan: ScanData
) -> None:
    wanted, found = (
        made(backend, training_precision=precision).fit([scan], cnn(), training(), Monitor())
        for precision in ('float32', 'bfloat16')
    )
    assert np.allclose(found.losses, wanted.losses, rtol=5e-2)
    assert not np.array_equal(found.losses, wanted.losses)
    assert all(value.dtype == np.float32 for value in found.weights.values())
    # Small steps are not lost: weights are updated in float32.
    first = initial_weights(found.manifest.model, 64, scan.probe, seed=0)
    moved = found.weights['encoder.0.0.weight'] - first['encoder.0.0.weight']
    assert 0 < np.abs(moved).max() < 2e-2


def test_the_network_reports_progress_and_physics_may_follow(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    class Recorder(Monitor):
        received: list[Progress]

        def on_progress(self, progress: Progress) -> None:
            self.received.append(progress)

    recorder = Recorder()
    recorder.received = []
    plain = engine.reconstruct(scan, InferenceConfig(), model, Monitor())
    more = InferenceConfig(cnn_refine_iterations=3, update_probe='off')
    refined = engine.reconstruct(scan, more, model, recorder)
    assert refined.stages == ('network', *['solver'] * 3)
    assert refined.residual[0] == pytest.approx(plain.residual[0], rel=1e-4)
    assert refined.residual[-1] < 0.5 * plain.residual[-1]
    assert [one.stage for one in recorder.received] == ['network', 'solver', 'solver', 'solver']
    # One count over both parts: progress never goes back.
    assert [(one.step, one.total) for one in recorder.received] == [(n, 4) for n in range(1, 5)]
    assert recorder.received[0].loss > 0


def test_batches_of_any_size_give_the_same_object(
    backend: Backend, scan: ScanData, model: TrainedModel
) -> None:
    def reconstructed(size: int) -> Reconstruction:
        engine = made(backend, inference_batch_size=size)
        return engine.reconstruct(scan, InferenceConfig(), model, Monitor())

    few, many = reconstructed(5), reconstructed(0)
    lit = ~np.isnan(many.object_canvas)
    assert np.allclose(few.object_canvas[lit], many.object_canvas[lit], atol=1e-4)


def test_frames_of_another_size_are_refused(engine: Engine, model: TrainedModel) -> None:
    small = make_scan(frame_size=32)
    with pytest.raises(ModelMismatchError, match=r'64 x 64.*have 32'):
        engine.reconstruct(small, InferenceConfig(), model, Monitor())
    with pytest.raises(ModelMismatchError, match='64, 128, 256 pixels, got 32'):
        engine.fit([small], cnn(), training(), Monitor())


def test_weights_of_another_network_are_refused(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    other = model.manifest.model_copy(update={'model': cnn(gridsize=2)})
    with pytest.raises(ModelMismatchError, match=r'encoder\.0\.0\.weight has shape'):
        engine.reconstruct(
            scan, InferenceConfig(), dataclasses.replace(model, manifest=other), Monitor()
        )


def test_groups_are_trained_together(engine: Engine, scan: ScanData) -> None:
    model = engine.fit([scan], cnn(gridsize=2), training(), Monitor())
    found = engine.reconstruct(scan, InferenceConfig(n_groups=5), model, Monitor())
    assert np.isfinite(found.residual).all()
    assert model.weights['decoder.amplitude.head.weight'].shape[0] == 4


@pytest.mark.parametrize('trainable', [True, False])
def test_intensity_follows_the_measured_counts_where_it_may(
    backend: Backend, scan: ScanData, trainable: bool
) -> None:
    weak = dataclasses.replace(scan, probe=scan.probe / 2)
    config = cnn(intensity_scale_trainable=trainable)
    engine = made(backend, learning_rate=4e-3)
    model = engine.fit([weak], config, training(epochs=2, batch_size=2), Monitor())
    assert ('intensity.log' in model.weights) == trainable
    if trainable:
        assert model.weights['intensity.log'] > 0.005


def test_intensity_is_given_to_the_object(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    brighter = model.weights['intensity.log'] + np.float32(np.log(4))
    other = dataclasses.replace(model, weights={**model.weights, 'intensity.log': brighter})
    plain, found = (
        engine.reconstruct(scan, InferenceConfig(), one, Monitor()) for one in (model, other)
    )
    lit = plain.coverage > 0.1
    assert np.allclose(found.object_canvas[lit], 2 * plain.object_canvas[lit], rtol=1e-4)


def test_a_trained_probe_moves_and_is_used(engine: Engine, scan: ScanData) -> None:
    model = engine.fit([scan], cnn(probe_trainable=True), training(), Monitor())
    trained = model.weights['probe.real'] + 1j * model.weights['probe.imag']
    moved = np.linalg.norm(trained - scan.probe) / np.linalg.norm(scan.probe)
    assert 1e-5 < moved < 0.1
    found = engine.reconstruct(scan, InferenceConfig(), model, Monitor())
    assert np.allclose(found.probe, trained, rtol=1e-3, atol=1e-4)
    assert np.array_equal(model.probe, scan.probe)
    bright = dataclasses.replace(scan, probe=2 * scan.probe, counts=4 * scan.counts)
    other = engine.reconstruct(bright, InferenceConfig(), model, Monitor())
    assert np.allclose(other.probe, 2 * trained, rtol=1e-3, atol=1e-4)
    assert other.residual[0] == pytest.approx(found.residual[0], rel=1e-2)


MODEL_FIELDS: list[dict[str, Any]] = [
    {'probe_mask': True},
    {'probe_scale': 4.0},
    {'gaussian_smoothing_sigma': 1.0},
    {'amp_activation': 'softplus'},
    {'output_form': 'real_imag'},
    {'pad_object': False},
    {'probe_big': False},
    {'gridsize': 2},
    {'gridsize': 2, 'object_big': False},
    {'intensity_scale_trainable': False},
    {'n_filters_scale': 2},
    {'n_filters_scale': 0.5},
    {'network_input': 'back_projection'},
]
TRAINING_FIELDS: list[dict[str, Any]] = [
    {'nphotons': 1e3},
    {'nll_weight': 0.3},
    {'mae_weight': 1.0},
    {'realspace_weight': 1.0},
    {'realspace_mae_weight': 1.0},
    {'seed': 1},
    {'batch_size': 2},
    {'overlap': 'group'},
    {'training_target': 'reconstruction'},
    {'n_groups': 5},
    {'subsample_seed': 1},
]


@pytest.fixture(scope='module')
def known_scan() -> ScanData:
    known = make_known_scan(frame_size=64, side=4, step_px=6.0)
    return dataclasses.replace(known.scan, object_guess=known.ground_truth)


def losses_with(scan: ScanData, **changed: Any) -> Any:
    """Return the losses of one epoch of a few groups, with some fields changed."""
    model = {name: value for name, value in changed.items() if name in ModelConfig.model_fields}
    rest = {name: value for name, value in changed.items() if name not in model}
    fields = {'n_groups': 4, **rest}
    return made('pytorch').fit([scan], cnn(**model), training(**fields), Monitor()).losses


@pytest.fixture(scope='module')
def plain_losses(known_scan: ScanData) -> Any:
    return losses_with(known_scan)


@pytest.mark.pytorch
@pytest.mark.parametrize(
    'fields', [*MODEL_FIELDS, *TRAINING_FIELDS], ids=lambda one: ' '.join(map(str, one.items()))
)
def test_each_field_reaches_the_training(
    known_scan: ScanData, plain_losses: Any, fields: dict[str, Any]
) -> None:
    found = losses_with(known_scan, **fields)
    assert np.isfinite(found).all()
    assert not np.allclose(found, plain_losses, rtol=1e-6)


def test_known_objects_teach_where_given(engine: Engine, known_scan: ScanData) -> None:
    config = cnn(model_type='supervised')
    model = engine.fit([known_scan], config, training(epochs=3), Monitor())
    assert model.losses[-1, 0] < model.losses[0, 0]
    unknown = dataclasses.replace(known_scan, object_guess=None)
    with pytest.raises(ScanDataError, match='objectGuess'):
        engine.fit([unknown], config, training(), Monitor())


class Stopping(Monitor):
    """Stops a job once it has taken some steps."""

    def __init__(self, steps: int) -> None:
        self.received: list[Progress] = []
        self.steps = steps

    def on_progress(self, progress: Progress) -> None:
        self.received.append(progress)

    def should_stop(self) -> bool:
        return len(self.received) >= self.steps


def test_a_stop_takes_effect_within_a_batch(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    monitor = Stopping(1)
    with pytest.raises(Cancelled):
        engine.fit([scan], cnn(), training(batch_size=2), monitor)
    assert len(monitor.received) == 1
    with pytest.raises(Cancelled):
        engine.reconstruct(scan, InferenceConfig(cnn_refine_iterations=2), model, Stopping(1))


def test_a_training_stopped_later_gives_its_best_model(engine: Engine, scan: ScanData) -> None:
    monitor = Stopping(3)
    model = engine.fit([scan], cnn(), training(epochs=50), monitor)
    assert model.losses.shape == (1, 2)
    assert [one.total for one in monitor.received] == [50] * 3
    assert monitor.received[1].validation_loss == pytest.approx(model.losses[0, 1])


@pytest.mark.slow
def test_a_resumed_training_ends_like_an_uninterrupted_one(
    engine: Engine, scan: ScanData, tmp_path: Path
) -> None:
    whole = engine.fit([scan], cnn(), training(epochs=3), Monitor(), folder=tmp_path / 'whole')
    engine.fit([scan], cnn(), training(epochs=3), Stopping(5), folder=tmp_path / 'parts')
    resumed = engine.fit(
        [scan], cnn(), training(epochs=3), Monitor(), folder=tmp_path / 'parts', resume=True
    )
    assert np.allclose(resumed.losses, whole.losses, rtol=1e-3)


def test_a_collapsed_training_is_stopped_with_advice(backend: Backend, scan: ScanData) -> None:
    with pytest.raises(CollapseError, match='learning_rate'):
        made(backend, learning_rate=0.5).fit([scan], cnn(), training(epochs=40), Monitor())


@pytest.mark.slow
def test_checkpoints_are_kept_as_asked(backend: Backend, scan: ScanData, tmp_path: Path) -> None:
    def kept(name: str, **fields: Any) -> list[str]:
        folder = tmp_path / name
        engine = made(backend, **fields)
        engine.fit([scan], cnn(), training(epochs=3), Monitor(), folder=folder)
        return sorted(path.stem for path in folder.iterdir() if path.is_file())

    assert kept('two', checkpoint_save_top_k=2)[-1] == 'last'
    assert len(kept('three', checkpoint_save_top_k=2)) == 3
    assert kept('none', checkpoint_save_top_k=0) == ['last']
    assert kept('off', enable_checkpointing=False) == []
