"""Requirements of TensorFlow alone: few traces, quiet imports, no change of the user's Keras."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate
from tests.helpers import make_scan

if TYPE_CHECKING:
    from ptychopinn_plugin.backends.tensorflow import TensorFlowEngine

pytestmark = pytest.mark.tensorflow

WORK = """
import os
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.monitor import Monitor
from tests.helpers import make_scan

scan = make_scan(side=4)
before = dict(os.environ)
engine = engine_class('tensorflow')(ExecutionConfig(backend='tensorflow', logger='none'))
training = TrainingConfig(epochs=1, steps_per_epoch=1, crop_frames=9, validation_episodes=1)
model = engine.fit([scan], ModelConfig(width=4, levels=1, blocks=1), training, Monitor())
result = engine.reconstruct(scan, InferenceConfig(refine_iterations=2), model, Monitor())
changed = {name for name in os.environ.keys() | before if os.environ.get(name) != before.get(name)}
# What other libraries set for themselves is theirs; these two are ours to leave alone.
print(result.backend, changed & {'KERAS_BACKEND', 'TF_CPP_MIN_LOG_LEVEL'})
"""


@pytest.fixture
def engine() -> TensorFlowEngine:
    execution = ExecutionConfig(backend='tensorflow', accelerator='cpu')
    return cast('TensorFlowEngine', engine_class('tensorflow')(execution))


@pytest.fixture
def compiling_engine(monkeypatch: pytest.MonkeyPatch) -> TensorFlowEngine:
    """Give an engine that solves with TensorFlow's own arrays, as with many threads or a GPU."""
    from ptychopinn_plugin.backends.tensorflow import cpu_ops

    monkeypatch.setattr(cpu_ops, 'MOST_THREADS', 0)
    execution = ExecutionConfig(backend='tensorflow', accelerator='cpu')
    return cast('TensorFlowEngine', engine_class('tensorflow')(execution))


def test_with_few_threads_nothing_of_the_solver_is_traced() -> None:
    execution = ExecutionConfig(backend='tensorflow', accelerator='cpu', threads=2)
    engine = cast('TensorFlowEngine', engine_class('tensorflow')(execution))
    result = engine.reconstruct(
        make_scan(side=4), InferenceConfig(refine_iterations=2), None, Monitor()
    )
    assert result.backend == 'tensorflow'
    assert engine.traces() == {}
    assert engine.ops.threads == 2
    with engine.computing() as ops:
        assert type(ops) is type(engine.ops)


@pytest.mark.parametrize('update_probe', [False, True])
def test_work_is_traced_once_a_shape(
    compiling_engine: TensorFlowEngine, update_probe: bool, caplog: pytest.LogCaptureFixture
) -> None:
    engine = compiling_engine

    def traces(passes: int, photons: float = 300, side: int = 6) -> dict[str, int]:
        # 36 frames in 4 subsets of 9: neither more passes nor joined subsets are a new shape.
        scan = make_scan(side=side, photons=photons)
        inference = InferenceConfig(
            refine_iterations=passes,
            update_probe='on' if update_probe else 'off',
            subsets=4,
            estimate_errors=False,
        )
        engine.reconstruct(scan, inference, None, Monitor())
        return engine.traces()

    caplog.set_level(logging.DEBUG, 'ptychopinn_plugin')
    # The first passes are without prior, and those of a refined probe with other noise.
    # By the ninth, subsets are joined: then shifted probes are sums of images for more frames.
    few = traces(9)
    # The light of a refined probe says how many images there are, which is a shape too.
    allowed = sum(few.values()) + (2 if update_probe else 0)
    for photons in (300, 1e5):
        many = traces(14, photons=photons)
        assert sum(many.values()) <= allowed
        assert max(many.values()) <= 5
    assert traces(9, side=7)['add_batch'] > many['add_batch']
    assert f'Traced so far by TensorFlow: {few}' in caplog.messages


@pytest.mark.slow
def test_a_model_is_traced_once_a_shape_and_a_training_for_all(
    engine: TensorFlowEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, 'ptychopinn_plugin')
    network = ModelConfig(width=4, levels=1, blocks=1)
    for epochs in (1, 3):
        # Crops lie on canvases of all shapes.
        training = TrainingConfig(
            epochs=epochs, steps_per_epoch=4, crop_frames=9, validation_episodes=2
        )
        model = engine.fit([make_scan(side=6)], network, training, Monitor())
    few, many = (text for text in caplog.messages if 'for the training' in text)
    assert few == many
    assert "'step': " in few

    weights = {**model.weights, 'trust.factor': DoseGate.open().factor}
    believed = dataclasses.replace(model, weights=weights)
    found = []
    for photons in (1e4, 1e5):
        scan = make_scan(side=6, photons=photons)
        engine.reconstruct(scan, InferenceConfig(refine_iterations=2), believed, Monitor())
        found.append(engine.traces())
    assert found[0] == found[1]
    # On the canvas of the scan, and on that of the frames that its gate takes.
    assert found[0]['network'] == 2


def test_memory_of_a_gpu_is_taken_as_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow import devices

    gpus = ['first', 'second']
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: gpus)
    monkeypatch.setattr(
        tf.config.experimental, 'set_memory_growth', lambda gpu, grow: asked.append((gpu, grow))
    )
    execution = ExecutionConfig(backend='tensorflow', accelerator='auto')
    assert devices.devices() == ('cuda', 'cpu')
    assert devices.select_device(execution) == '/GPU:0'
    devices.configure_runtime(execution)
    assert asked == [('first', True), ('second', True)]


def test_settings_that_come_too_late_are_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import tensorflow as tf

    from ptychopinn_plugin.backends.tensorflow.devices import configure_runtime

    def refuse(number: int) -> None:
        raise RuntimeError(f'cannot be modified after initialization: {number}')

    monkeypatch.setattr(tf.config.threading, 'get_intra_op_parallelism_threads', lambda: 0)
    monkeypatch.setattr(tf.config.threading, 'set_intra_op_parallelism_threads', refuse)
    configure_runtime(ExecutionConfig(backend='tensorflow', accelerator='cpu', threads=3))
    (message,) = caplog.messages
    assert 'already at work' in message
    assert 'initialization: 3' in message


@pytest.mark.slow
def test_neither_banners_nor_the_users_keras_matter() -> None:
    done = subprocess.run(
        [sys.executable, '-c', WORK],
        env=os.environ | {'KERAS_BACKEND': 'torch', 'PYTHONPATH': os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout == 'tensorflow set()\n'
    assert done.stderr == ''


def test_errors_are_not_kept_away(capfd: pytest.CaptureFixture[str]) -> None:
    from ptychopinn_plugin.backends.tensorflow.quiet_import import quiet

    lines = [
        b'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n',
        b'I0000 00:00:1 port.cc:153] oneDNN custom operations are on.\n',
        b'W0000 00:00:1 cpu.cc:1] could be faster\n',
        b'E0000 00:00:1 cuda.cc:52] out of memory\n',
        b'Fatal: the end\n',
    ]
    with quiet():
        for line in lines:
            os.write(2, line)
    assert capfd.readouterr().err.encode() == b''.join(lines[3:])


def test_what_was_said_before_an_import_failed_is_reported(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from ptychopinn_plugin.backends.tensorflow.quiet_import import quiet

    def fail() -> None:
        with quiet():
            os.write(2, b'a hint\n')
            raise ImportError('broken')

    with pytest.raises(ImportError, match='broken'):
        fail()
    assert capfd.readouterr().err == 'a hint\n'
