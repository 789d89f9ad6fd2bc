"""The contract of every engine, on every backend."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled, CheckpointError, ModelMismatchError
from ptychopinn_plugin.io.model_file import (
    TrainedModel,
    load_model,
    packaged_model,
    save_model,
    weights_fingerprint,
)
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate
from ptychopinn_plugin.scan import Reconstruction, ScanData
from tests.helpers import make_scan

TINY = ModelConfig(width=8, levels=2, blocks=1)
SHORT = TrainingConfig(
    epochs=2,
    steps_per_epoch=2,
    crop_frames=25,
    reference_passes=4,
    validation_episodes=2,
)
BRIEF = InferenceConfig(refine_iterations=3)


class Recorder(Monitor):
    """Keeps what it receives; requests a stop after some steps."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.received: list[Progress] = []
        self.previews: list[Reconstruction] = []
        self.stop_after = stop_after

    def on_progress(self, progress: Progress) -> None:
        self.received.append(progress)

    def should_stop(self) -> bool:
        return len(self.received) >= self.stop_after

    def wants_preview(self) -> bool:
        return True

    def on_preview(self, reconstruction: Reconstruction) -> None:
        self.previews.append(reconstruction)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(side=7, frame_size=32, step_px=4.0, photons=1e5)


@pytest.fixture(scope='module')
def models() -> dict[str, TrainedModel]:
    return {}


@pytest.fixture
def model(engine: Engine, scan: ScanData, models: dict[str, TrainedModel]) -> TrainedModel:
    """Return a model that each engine has trained once."""
    if engine.backend not in models:
        models[engine.backend] = engine.fit([scan], TINY, SHORT, Monitor())
    return models[engine.backend]


def believing(model: TrainedModel, factor: float) -> TrainedModel:
    """Return a model with the same factor of its gate at every dose."""
    gate = np.full_like(DoseGate.open().factor, factor)
    return dataclasses.replace(model, weights={**model.weights, 'trust.factor': gate})


def test_physics_alone_lowers_the_residual_and_says_who_computed(
    engine: Engine, scan: ScanData
) -> None:
    result = engine.reconstruct(scan, InferenceConfig(refine_iterations=10), None, Monitor())

    assert result.backend == engine.backend
    assert result.residual[-1] < 0.1 * result.residual[0]
    assert result.stages == ('solver',) * 10
    assert result.object_canvas.dtype == np.complex64
    assert result.probe.shape == scan.probe.shape
    assert result.seconds > 0


def test_pixels_without_light_are_nan_and_all_others_finite(engine: Engine, scan: ScanData) -> None:
    wide = dataclasses.replace(scan, object_guess=np.ones((120, 130), np.complex64))
    result = engine.reconstruct(wide, BRIEF, None, Monitor())

    assert result.object_canvas.shape == (120, 130)
    np.testing.assert_array_equal(np.isnan(result.object_canvas), result.coverage <= 1e-4)
    assert np.isnan(result.object_canvas[-1, -1])
    assert not np.isnan(result.object_canvas[30, 30])


def test_only_the_shape_of_the_object_guess_counts(engine: Engine, scan: ScanData) -> None:
    shape = (90, 90)
    rng = np.random.default_rng(0)
    guess = (rng.random(shape) * np.exp(6j * rng.random(shape))).astype(np.complex64)
    results = [
        engine.reconstruct(dataclasses.replace(scan, object_guess=one), BRIEF, None, Monitor())
        for one in (np.ones(shape, np.complex64), guess)
    ]
    np.testing.assert_array_equal(results[0].object_canvas, results[1].object_canvas)


def test_a_refined_probe_keeps_its_photons(engine: Engine, scan: ScanData) -> None:
    wrong = dataclasses.replace(scan, probe=(scan.probe * np.complex64(1.3)).astype(np.complex64))
    inference = InferenceConfig(refine_iterations=8, update_probe='on')
    result = engine.reconstruct(wrong, inference, None, Monitor())

    assert np.vdot(result.probe, result.probe).real == pytest.approx(
        np.vdot(wrong.probe, wrong.probe).real, rel=1e-4
    )
    assert not np.allclose(result.probe, wrong.probe, rtol=1e-2)


def test_a_result_says_whether_its_probe_was_refined(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    kept = dataclasses.replace(scan.metadata, probe_is_refined=True)
    cases = [(scan, None, True), (dataclasses.replace(scan, metadata=kept), None, False)]
    for one, network, refined in [*cases, (scan, model, True)]:
        result = engine.reconstruct(one, BRIEF, network, Monitor())
        assert result.probe_refined is refined
        assert np.array_equal(result.probe, scan.probe) is not refined


def test_every_step_is_reported_and_can_be_looked_at(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    recorder = Recorder()
    result = engine.reconstruct(scan, BRIEF, model, recorder)

    stages = [progress.stage for progress in recorder.received]
    assert stages == ['solver', 'solver', 'solver', 'network']
    assert [progress.step for progress in recorder.received] == list(range(1, 5))
    assert {progress.total for progress in recorder.received} == {4}
    assert len(recorder.previews) == 3
    assert np.isfinite(recorder.previews[0].object_canvas[30, 30])
    assert len(result.stages) == len(result.residual) >= 3


def test_a_stop_is_met_within_a_reconstruction(engine: Engine, scan: ScanData) -> None:
    recorder = Recorder(stop_after=2)
    with pytest.raises(Cancelled):
        engine.reconstruct(scan, InferenceConfig(refine_iterations=50), None, recorder)
    assert len(recorder.received) == 2


@pytest.mark.parametrize('kind', ['untrained', 'closed', 'random'])
def test_a_network_that_does_not_help_leaves_physics_as_it_is(
    engine: Engine, scan: ScanData, model: TrainedModel, kind: str
) -> None:
    rng = np.random.default_rng(0)
    last = {
        name: 0 * value if kind == 'untrained' else rng.normal(size=value.shape).astype('f4')
        for name, value in model.weights.items()
        if name.startswith('outlet.')
    }
    harmful = dataclasses.replace(model, weights={**model.weights, **last})
    one = believing(harmful, 0.0 if kind == 'closed' else 1.0)
    # Before passes have converged, any update that has something of the gradient in it helps.
    converged = InferenceConfig(refine_iterations=12, update_probe='off')
    found = engine.reconstruct(scan, converged, one, Monitor())
    alone = engine.reconstruct(scan, converged, None, Monitor())
    np.testing.assert_array_equal(found.object_canvas, alone.object_canvas)
    np.testing.assert_array_equal(found.probe, alone.probe)
    np.testing.assert_array_equal(found.residual, alone.residual)
    assert found.stages == alone.stages
    assert found.model_name == weights_fingerprint(one)
    assert sum('the network was not used' in remark for remark in found.remarks) == 1


def test_modes_and_bad_pixels_reach_the_network_too(engine: Engine, model: TrainedModel) -> None:
    scan = make_scan(side=7, frame_size=32, step_px=4.0, photons=1e5, modes=2)
    mask = np.zeros_like(scan.mask)
    mask[3:6, 10:20] = True
    counts = scan.counts.copy()
    counts[:, mask] = 1e6
    hot = dataclasses.replace(scan, mask=mask, counts=counts)
    cold = dataclasses.replace(scan, mask=mask)
    results = [engine.reconstruct(one, BRIEF, model, Monitor()) for one in (hot, cold)]
    np.testing.assert_array_equal(results[0].object_canvas, results[1].object_canvas)
    assert results[0].probe.shape == (2, 32, 32)


def test_training_gives_a_model_that_says_what_it_is(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    manifest = model.manifest
    assert manifest.backend == engine.backend
    assert manifest.model == TINY
    assert manifest.training == SHORT
    assert manifest.frame_size == 32
    assert manifest.photons_per_frame[0] == pytest.approx(scan.counts.sum() / scan.frame_count)
    assert model.losses.shape == (2, 2)
    assert np.isfinite(model.losses).all()
    assert all(value.dtype == np.float32 for value in model.weights.values())


def test_the_network_of_the_package_is_trained_further(engine: Engine, scan: ScanData) -> None:
    barely = TrainingConfig(
        epochs=1, steps_per_epoch=1, crop_frames=16, reference_passes=4, validation_episodes=3
    )
    engine.configure(engine.execution.model_copy(update={'learning_rate': 1e-6}))  # type: ignore[attr-defined]
    found = engine.fit([scan], ModelConfig(), barely, Monitor())
    packaged = packaged_model()
    for name, value in packaged.weights.items():
        if name != 'trust.factor':
            np.testing.assert_allclose(found.weights[name], value, atol=1e-5)
    example = found.example
    assert example is not None
    assert example.before.shape == example.after.shape == example.reference.shape
    change = np.abs(example.after - example.before)
    assert change[example.dose > 0.2 * example.dose.max()].mean() > 1e-3
    assert change[example.dose == 0].max(initial=0) == 0
    other = engine.fit([scan], TINY, barely.model_copy(update={'pretrained': True}), Monitor())
    assert other.weights['inlet.bias'].shape == (8,)


@pytest.mark.slow
def test_the_same_seed_trains_the_same_model(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    again = engine.fit([scan], TINY, SHORT, Monitor())
    other = engine.fit([scan], TINY, SHORT.model_copy(update={'seed': 1}), Monitor())

    for name, value in model.weights.items():
        np.testing.assert_array_equal(value, again.weights[name])
    assert model.manifest.weights_fingerprint == again.manifest.weights_fingerprint
    assert model.manifest.weights_fingerprint != other.manifest.weights_fingerprint


def test_a_saved_model_reconstructs_as_the_one_in_memory(
    engine: Engine, scan: ScanData, model: TrainedModel, tmp_path: Path
) -> None:
    path = tmp_path / 'model.safetensors'
    save_model(path, model)
    results = [engine.reconstruct(scan, BRIEF, one, Monitor()) for one in (model, load_model(path))]
    np.testing.assert_array_equal(results[0].object_canvas, results[1].object_canvas)
    assert results[0].remarks == results[1].remarks


@pytest.mark.slow
def test_training_goes_on_where_it_stopped(engine: Engine, scan: ScanData, tmp_path: Path) -> None:
    training = SHORT.model_copy(update={'epochs': 3})
    whole = engine.fit([scan], TINY, training, Monitor(), folder=tmp_path / 'whole')
    recorder = Recorder(stop_after=2 * (SHORT.steps_per_epoch + 1))
    engine.fit([scan], TINY, training, recorder, folder=tmp_path / 'parts')
    resumed = engine.fit([scan], TINY, training, Monitor(), folder=tmp_path / 'parts', resume=True)

    np.testing.assert_allclose(resumed.losses, whole.losses, rtol=1e-5)
    for name, value in whole.weights.items():
        np.testing.assert_allclose(resumed.weights[name], value, rtol=1e-4, atol=1e-6)


def test_a_stopped_training_keeps_its_best_model(engine: Engine, scan: ScanData) -> None:
    recorder = Recorder(stop_after=SHORT.steps_per_epoch + 1)
    stopped = engine.fit([scan], TINY, SHORT, recorder)
    assert len(stopped.losses) == 1


def test_a_training_stopped_before_its_first_epoch_gives_nothing(
    engine: Engine, scan: ScanData
) -> None:
    with pytest.raises(Cancelled):
        engine.fit([scan], TINY, SHORT, Recorder(stop_after=1))


def test_there_must_be_something_to_resume(engine: Engine, scan: ScanData, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='no checkpoint'):
        engine.fit([scan], TINY, SHORT, Monitor(), folder=tmp_path, resume=True)


@pytest.mark.slow
def test_a_checkpoint_of_another_network_is_refused(
    engine: Engine, scan: ScanData, tmp_path: Path
) -> None:
    engine.fit([scan], TINY, SHORT, Monitor(), folder=tmp_path)
    wider = TINY.model_copy(update={'width': 12})
    with pytest.raises(CheckpointError, match='another shape'):
        engine.fit([scan], wider, SHORT, Monitor(), folder=tmp_path, resume=True)


def test_weights_of_another_network_are_refused(
    engine: Engine, scan: ScanData, model: TrainedModel
) -> None:
    bias = model.weights['inlet.bias']
    missing = {name: value for name, value in model.weights.items() if name != 'inlet.bias'}
    for weights, message in (
        (missing, 'inlet.bias is missing'),
        ({**model.weights, 'extra': bias}, 'extra is not known'),
        ({**model.weights, 'inlet.bias': bias[:-1]}, 'inlet.bias has shape'),
    ):
        wrong = dataclasses.replace(model, weights=weights)
        with pytest.raises(ModelMismatchError, match=message):
            engine.reconstruct(scan, BRIEF, wrong, Monitor())
