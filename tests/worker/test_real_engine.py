"""The engines of the package in a worker."""

import subprocess
import sys
from pathlib import Path

import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.backends.registry import backend_status
from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import BackendUnavailableError, Cancelled
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.conftest import BACKENDS
from tests.helpers import make_scan
from tests.worker.helpers import (
    Recorder,
    descendants_of,
    eventually,
    exists,
    runs,
    same_bits,
)

SCRIPT = """
import sys
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.worker.client import RemoteEngine

with RemoteEngine(ExecutionConfig(backend='{backend}', accelerator='cpu')) as engine:
    result = engine.reconstruct(
        load_npz({scan!r}), InferenceConfig(refine_iterations=2), None, Monitor()
    )
print(result.backend, sorted({{'torch', 'lightning', 'tensorflow'}} & set(sys.modules)))
"""


KILLED_SCRIPT = """
import sys
sys.path[:0] = [{root!r}]
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.helpers import make_scan

class Announcing(Monitor):
    def on_progress(self, progress):
        print('step', flush=True)

if __name__ == '__main__':
    execution = ExecutionConfig(
        backend='pytorch', accelerator='cpu', threads=1, num_workers=2, logger='none'
    )
    engine = RemoteEngine(execution)
    model = ModelConfig(width=4, levels=1, blocks=1)
    training = TrainingConfig(epochs=1000, steps_per_epoch=20, reference_passes=2)
    engine.fit([make_scan(frame_size=32, side=6)], model, training, Announcing())
"""


@pytest.mark.pytorch
@pytest.mark.slow
def test_loader_processes_of_a_worker_end_with_a_killed_program(tmp_path: Path) -> None:
    path = tmp_path / 'training.py'
    path.write_text(KILLED_SCRIPT.format(root=str(Path(__file__).parents[2])))
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        assert training.stdout.readline() == 'step\n'
        # The worker and two processes that load.
        assert eventually(lambda: len(descendants_of(training.pid)) >= 3, 20)
        helpers = descendants_of(training.pid)
        training.kill()
        assert eventually(lambda: not any(map(runs, helpers)), 1)


@pytest.mark.slow
def test_a_worker_trains_and_reconstructs_as_this_process_does(backend: Backend) -> None:
    execution = ExecutionConfig(
        backend=backend, accelerator='cpu', threads=1, deterministic=True, logger='none'
    )
    scan = make_scan(frame_size=32, side=6)
    inference = InferenceConfig(refine_iterations=3)
    training = TrainingConfig(
        epochs=2, steps_per_epoch=2, validation_episodes=2, reference_passes=4
    )
    model = ModelConfig(width=4, levels=1, blocks=1)
    near = engine_class(backend)(execution)
    devices = backend_status(backend).devices
    with RemoteEngine(execution) as far:
        near_monitor, far_monitor = Recorder(), Recorder()
        one = near.fit([scan], model, training, near_monitor)
        other = far.fit([scan], model, training, far_monitor)
        assert same_bits(one, other)
        assert 1 <= len(far_monitor.models) == len(near_monitor.models) <= 2
        assert far_monitor.models[-1].manifest == other.manifest
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
            far.configure(ExecutionConfig(backend=backend, accelerator='mps'))
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


@pytest.mark.pytorch
@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize('first', BACKENDS)
def test_a_switch_of_backend_ends_the_old_worker(first: Backend) -> None:
    (second,) = set(BACKENDS) - {first}
    scan, inference = make_scan(side=4), InferenceConfig(refine_iterations=2)
    pids: list[int | None] = []
    with RemoteEngine(ExecutionConfig(backend=first, accelerator='cpu')) as engine:
        for backend in (first, second, first):
            engine.configure(ExecutionConfig(backend=backend, accelerator='cpu'))
            result = engine.reconstruct(scan, inference, None, Monitor())
            assert result.backend == backend
            assert not any(exists(pid) for pid in pids)
            pids.append(engine.worker_pid)
            assert exists(pids[-1])
    assert len(set(pids)) == 3
    assert not exists(pids[-1])
