"""The engines of the package in a worker."""

import subprocess
import sys
from pathlib import Path

import pytest

from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.engines import engine_class
from ptychopinn_plugin.engines.choice import backend_status
from ptychopinn_plugin.engines.protocol import Monitor
from ptychopinn_plugin.errors import BackendUnavailableError, Cancelled
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.helpers import make_scan
from tests.worker.helpers import Recorder, same_bits

SCRIPT = """
import sys
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig
from ptychopinn_plugin.contract import load_npz
from ptychopinn_plugin.engines.protocol import Monitor
from ptychopinn_plugin.worker.client import RemoteEngine

with RemoteEngine(ExecutionConfig(backend='{backend}', accelerator='cpu')) as engine:
    result = engine.reconstruct(
        load_npz({scan!r}), InferenceConfig(refine_iterations=2), None, Monitor()
    )
print(result.backend, sorted({{'torch', 'lightning', 'tensorflow'}} & set(sys.modules)))
"""


@pytest.mark.pytorch
def test_a_worker_trains_and_reconstructs_as_this_process_does() -> None:
    execution = ExecutionConfig(
        backend='pytorch', accelerator='cpu', threads=1, deterministic=True, logger='none'
    )
    scan = make_scan(frame_size=32, side=6)
    inference = InferenceConfig(refine_iterations=3)
    training = TrainingConfig(
        epochs=2, steps_per_epoch=2, validation_episodes=2, reference_passes=4
    )
    model = ModelConfig(width=4, levels=1, blocks=1)
    near = engine_class('pytorch')(execution)
    devices = backend_status('pytorch').devices
    with RemoteEngine(execution) as far:
        hears, overhears = Recorder(), Recorder()
        one = near.fit([scan], model, training, hears)
        other = far.fit([scan], model, training, overhears)
        assert same_bits(one, other)
        assert 1 <= len(overhears.models) == len(hears.models) <= 2
        assert overhears.models[-1].manifest == other.manifest
        here = near.reconstruct(scan, inference, one, Monitor())
        there = far.reconstruct(scan, inference, other, Monitor())
        assert here.object_canvas.tobytes() == there.object_canvas.tobytes()
        assert here.stages == there.stages
        assert there.model_name == one.manifest.weights_fingerprint
        pid = far.worker_pid
        with pytest.raises(Cancelled):
            far.reconstruct(
                scan, InferenceConfig(refine_iterations=10_000), None, Recorder(stop_at=2)
            )
        if 'mps' not in devices:
            far.configure(ExecutionConfig(backend='pytorch', accelerator='mps'))
            with pytest.raises(BackendUnavailableError, match="'mps'"):
                far.reconstruct(scan, inference, None, Monitor())
        assert far.worker_pid == pid


def test_no_framework_comes_into_this_process(backend: Backend, tmp_path: Path) -> None:
    fixture = next((Path(__file__).parents[2] / 'fixtures').glob('*.npz'))
    code = SCRIPT.format(backend=backend, scan=str(fixture))
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.stdout == f'{backend} []\n', done.stderr
