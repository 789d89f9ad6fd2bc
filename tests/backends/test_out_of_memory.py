"""Memory that runs out: batches are halved, at most thrice; a training keeps its best model."""

from __future__ import annotations

import importlib
import weakref
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.out_of_memory import HALVINGS, halving_batches
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import DivergenceError, OutOfMemoryError
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.sweeps import add_batch
from tests.helpers import make_scan

PASSES = InferenceConfig(refine_iterations=2, subsets=1)
UNROLLED = ModelConfig(width=4, levels=1, blocks=1)
CNN = ModelConfig(architecture='cnn', gridsize=1, n_filters_scale=1)
# Frames of a batch that the pretended memory holds: fewer than the engines take at once.
FITTING_FRAMES = 10
TRAINING = TrainingConfig(
    epochs=2,
    steps_per_epoch=2,
    validation_episodes=2,
    reference_passes=2,
    crop_frames=32,
    batch_size=16,
    n_groups=24,
    validation_fraction=0.3,
)


def run_out_of_memory(backend: Backend) -> None:
    """Raise the framework's own error; PyTorch is asked for more than any machine has."""
    if backend == 'pytorch':
        import torch

        torch.empty(1 << 50)
        raise AssertionError('four petabytes were there')
    import tensorflow as tf

    # Linux promises TensorFlow any memory, and ends the process that uses it.
    raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor\nHint: none')


@pytest.fixture
def engine(backend: Backend) -> Engine:
    return engine_class(backend)(
        ExecutionConfig(
            backend=backend, accelerator='cpu', threads=1, deterministic=True, logger='none'
        )
    )


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=64, side=7, step_px=6.0)


def limit_batches(monkeypatch: pytest.MonkeyPatch, backend: Backend, largest: int) -> list[int]:
    """Let batches of a pass run out of memory above a size; return the sizes that were tried."""
    sizes: list[int] = []

    def limited(*arguments: Any) -> Any:
        # Short trials of a start run on NumPy, beside the memory of the framework.
        if type(arguments[0]) is NumpyOps:
            return add_batch(*arguments)
        sizes.append(int(arguments[4].amplitudes.shape[0]))
        if sizes[-1] > largest:
            run_out_of_memory(backend)
        return add_batch(*arguments)

    monkeypatch.setattr('ptychopinn_plugin.solver.problem.add_batch', limited)
    return sizes


def test_physics_is_done_again_with_halved_batches(
    engine: Engine,
    scan: ScanData,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine.ops.batch_pixels = engine._batch_pixels = 32 * 64**2  # type: ignore[attr-defined]
    wanted = engine.reconstruct(scan, PASSES, None, Monitor())
    sizes = limit_batches(monkeypatch, engine.backend, FITTING_FRAMES)
    found = engine.reconstruct(scan, PASSES, None, Monitor())
    # The first batches are those of a trial of the probe, with fewer frames than a batch may have.
    first, rest = sizes[0], [size for size in sizes if size <= FITTING_FRAMES]
    assert first > FITTING_FRAMES
    assert max(rest) > 4
    # Sums over frames in another order.
    lit = found.coverage > 0.1
    np.testing.assert_allclose(found.object_canvas[lit], wanted.object_canvas[lit], atol=2e-3)
    said = [record.message for record in caplog.records if 'memory ran out' in record.message]
    assert [line.rsplit('batches ', 1)[1] for line in said] == ['1/2 as large', '1/4 as large']


def test_after_three_halvings_the_error_says_what_to_do(
    engine: Engine, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = limit_batches(monkeypatch, engine.backend, 0)
    with pytest.raises(OutOfMemoryError, match=r'memory ran out .* 1/8 as large; take fewer'):
        engine.reconstruct(scan, PASSES, None, Monitor())
    assert len(sizes) == 1 + HALVINGS


class OutOfMemoryAt(Monitor):
    """Runs out of memory at some steps of a training, at each of them once."""

    def __init__(self, backend: Backend, *steps: int) -> None:
        self.backend = backend
        self.steps = list(steps)

    def on_progress(self, progress: Progress) -> None:
        if progress.stage == 'train' and progress.step == next(iter(self.steps), 0):
            self.steps.pop(0)
            run_out_of_memory(self.backend)


@pytest.mark.slow
@pytest.mark.parametrize('model', [UNROLLED, CNN], ids=['unrolled', 'cnn'])
def test_a_training_begins_again_and_later_keeps_its_best_model(
    engine: Engine, scan: ScanData, model: ModelConfig, caplog: pytest.LogCaptureFixture
) -> None:
    # Two episodes an epoch, or with half the batch four batches: in the first epoch, and in the
    # second one.
    steps = (1, 3) if model is UNROLLED else (1, 6)
    trained = engine.fit([scan], model, TRAINING, OutOfMemoryAt(engine.backend, *steps))
    used = trained.manifest.training
    assert (used.crop_frames if model is UNROLLED else used.batch_size) == (
        16 if model is UNROLLED else 8
    )
    assert len(trained.losses) == 1
    assert 'batches 1/2 as large' in caplog.text
    assert 'The training ends here; the model is that of epoch 1' in caplog.text


@pytest.mark.slow
def test_a_network_predicts_again_with_halved_batches(
    engine: Engine, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine.fit([scan], CNN, TRAINING, Monitor())
    place = f'ptychopinn_plugin.backends.{engine.backend}.cnn_inference'
    network = importlib.import_module(place).CnnInference
    predict, sizes = network.predict, []

    def limited(self: object, batch: GroupBatch) -> Any:
        sizes.append(len(batch.positions_px))
        if sizes[-1] > FITTING_FRAMES:
            run_out_of_memory(engine.backend)
        return predict(self, batch)

    monkeypatch.setattr(network, 'predict', limited)
    engine.reconstruct(scan, PASSES, model, Monitor())
    assert sizes[0] > FITTING_FRAMES
    assert sum(size for size in sizes if size <= FITTING_FRAMES) == scan.frame_count


@pytest.mark.slow
@pytest.mark.parametrize('model', [UNROLLED, CNN], ids=['unrolled', 'cnn'])
def test_a_training_that_diverges_gives_its_last_good_model(
    engine: Engine,
    scan: ScanData,
    model: ModelConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rate = LearningRateSchedule.rate
    monkeypatch.setattr(
        LearningRateSchedule, 'rate', lambda self, step: rate(self, step) if step < 2 else np.nan
    )
    training = TRAINING.model_copy(update={'epochs': 6})
    trained = engine.fit([scan], model, training, Monitor())
    assert len(trained.losses) == 1
    assert np.isfinite(trained.losses).all()
    assert all(np.isfinite(values).all() for values in trained.weights.values())
    assert 'not finite' in caplog.text
    assert 'the model is that of epoch 1' in caplog.text


@pytest.mark.slow
def test_a_training_that_diverges_at_once_says_what_to_do(
    engine: Engine, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LearningRateSchedule, 'rate', lambda _self, _step: np.nan)
    with pytest.raises(DivergenceError, match=r'epoch 1 is not finite.*a tenth of'):
        engine.fit([scan], CNN, TRAINING, Monitor())


def test_other_errors_are_not_tried_again() -> None:
    calls: list[int] = []

    def fail(divisor: int) -> None:
        calls.append(divisor)
        raise RuntimeError('another')

    with pytest.raises(RuntimeError, match='another'):
        halving_batches(fail, lambda error: isinstance(error, MemoryError))
    assert calls == [1]


def test_what_the_failed_call_held_is_free_before_the_next() -> None:
    held: list[weakref.ref[Any]] = []

    def run(divisor: int) -> bool:
        if divisor == 1:
            array = np.zeros(3)
            held.append(weakref.ref(array))
            raise MemoryError
        return held[0]() is None

    assert halving_batches(run, lambda error: isinstance(error, MemoryError))
