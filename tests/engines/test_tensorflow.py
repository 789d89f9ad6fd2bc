"""What only TensorFlow needs: few traces, quiet imports, no say over the user's Keras."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import cast

import pytest

from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig
from ptychopinn_plugin.engines import engine_class
from ptychopinn_plugin.engines.protocol import Monitor
from tests.helpers import make_scan

pytestmark = pytest.mark.tensorflow

WORK = """
import os
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.engines import engine_class
from ptychopinn_plugin.engines.protocol import Monitor
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


def test_work_is_traced_once_a_shape() -> None:
    from ptychopinn_plugin.engines.tensorflow import TensorFlowEngine

    execution = ExecutionConfig(backend='tensorflow', accelerator='cpu')
    engine = cast('TensorFlowEngine', engine_class('tensorflow')(execution))

    def traces(passes: int, seed: int = 0, side: int = 6) -> int:
        # 36 frames in 4 subsets of 9: neither more passes nor joined subsets are a new shape.
        scan = make_scan(side=side, seed=seed, photons=300)
        engine.reconstruct(scan, InferenceConfig(refine_iterations=passes), None, Monitor())
        return engine.ops.traces()

    few = traces(2)
    assert traces(9) == few
    assert traces(9) == few
    assert few <= 8
    assert traces(2, side=7) > few


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
    from ptychopinn_plugin.engines.tensorflow.quiet import quiet

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


def test_what_was_said_before_an_import_failed_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    from ptychopinn_plugin.engines.tensorflow.quiet import quiet

    def fail() -> None:
        with quiet():
            os.write(2, b'a hint\n')
            raise ImportError('broken')

    with pytest.raises(ImportError, match='broken'):
        fail()
    assert capfd.readouterr().err == 'a hint\n'
