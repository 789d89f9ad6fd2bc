"""However a worker or its parent ends: the caller gets an error, and nothing is left behind."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import WorkerDiedError
from ptychopinn_plugin.monitor import BestModelMonitor, Monitor
from ptychopinn_plugin.worker.client import RemoteEngine
from ptychopinn_plugin.worker.process import WorkerProcess
from tests.worker.conftest import toy_engine
from tests.worker.helpers import (
    INFERENCE,
    AtStep,
    children_of,
    eventually,
    exists,
    quiet_scan,
    runs,
    scan_that,
)

ROOT = Path(__file__).parents[2]
LONG = InferenceConfig(refine_iterations=10_000)


def kill_soon(remote: RemoteEngine, killed: list[float]) -> None:
    """Kill the worker when its job is under way."""

    def kill() -> None:
        pid = remote.worker_pid
        assert pid is not None
        killed.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)

    threading.Timer(0.2, kill).start()


@pytest.mark.parametrize('behaviour', ['work', 'hang', 'hold', 'helper'])
def test_a_killed_worker_is_an_error_within_a_second(remote: RemoteEngine, behaviour: str) -> None:
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    pid = remote.worker_pid
    assert pid is not None
    helpers: list[int] = []
    killed: list[float] = []

    def kill() -> None:
        if behaviour == 'helper':
            assert eventually(lambda: bool(children_of(pid)), 5)
            helpers.extend(children_of(pid))
        kill_soon(remote, killed)

    with pytest.raises(WorkerDiedError, match=r'signal 9.*memory') as death:
        remote.reconstruct(scan_that(behaviour), LONG, None, AtStep(1, kill))
    assert time.monotonic() - killed[0] < 1
    assert death.value.exit_code == -signal.SIGKILL
    assert not exists(pid), 'not even a zombie'
    assert eventually(lambda: not any(map(runs, helpers)), 1), 'nor its own processes'
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    assert remote.worker_pid not in (pid, None)


def test_the_error_of_a_worker_that_exits_has_its_last_lines(remote: RemoteEngine) -> None:
    with pytest.raises(WorkerDiedError, match=r'exit code 7[\s\S]*the last words') as death:
        remote.reconstruct(scan_that('leave'), LONG, None, Monitor())
    assert death.value.exit_code == 7
    assert death.value.last_lines[-1] == 'the last words'


def test_a_killed_training_leaves_its_best_model(remote: RemoteEngine) -> None:
    best = BestModelMonitor(AtStep(5, lambda: kill_soon(remote, [])))
    with pytest.raises(WorkerDiedError):
        remote.fit([scan_that('hang')], ModelConfig(), TrainingConfig(epochs=6), best)
    assert best.best_model is not None
    assert best.best_model.weights['gain'] == 3
    assert len(best.best_model.losses) == 5


def test_a_worker_killed_between_jobs_is_replaced_silently(remote: RemoteEngine) -> None:
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    pid = remote.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not exists(pid), 1)
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())


def test_a_worker_that_dies_as_a_job_comes_is_replaced_too(remote: RemoteEngine) -> None:
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    pid = remote.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # alive when it is looked at, and never to take the job up
    threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    assert remote.worker_pid not in (pid, None)


def test_the_parent_handles_ctrl_c(remote: RemoteEngine) -> None:
    pids: list[int] = []

    def interrupt() -> None:
        assert remote.worker_pid is not None
        pids.append(remote.worker_pid)
        os.kill(remote.worker_pid, signal.SIGINT)

    remote.reconstruct(scan_that('work'), INFERENCE, None, AtStep(1, interrupt))
    assert [remote.worker_pid] == pids


def test_an_idle_worker_leaves_and_the_next_job_starts_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with toy_engine(idle_seconds=0.2) as remote:
        remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
        pid = remote.worker_pid
        assert pid is not None
        assert eventually(lambda: not exists(pid), 3)
        # As if it left just when the job was sent.
        lies = iter([True])
        honest = WorkerProcess.alive.fget  # type: ignore[attr-defined]
        monkeypatch.setattr(
            WorkerProcess, 'alive', property(lambda self: next(lies, False) or honest(self))
        )
        remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
        assert remote.worker_pid != pid


def test_a_busy_worker_is_not_idle() -> None:
    with toy_engine(idle_seconds=0.2) as remote:
        inference = InferenceConfig(refine_iterations=30)
        remote.reconstruct(scan_that('work'), inference, None, Monitor())


def test_the_worker_of_a_deleted_engine_ends() -> None:
    remote = toy_engine()
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    pid = remote.worker_pid
    assert pid is not None
    del remote
    gc.collect()
    assert eventually(lambda: not exists(pid), 1)


def test_a_worker_leaves_at_the_end_of_its_input() -> None:
    command = ['-m', 'ptychopinn_plugin.worker', '--parent', str(os.getpid())]
    process = subprocess.Popen(
        [sys.executable, *command, '--idle-seconds', '60'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.communicate(timeout=20) == (b'', b'')
    assert process.returncode == 0


def test_a_worker_exits_where_its_parent_is_another() -> None:
    command = ['-m', 'ptychopinn_plugin.worker', '--parent', str(os.getppid())]
    done = subprocess.run(
        [sys.executable, *command, '--idle-seconds', '60'], stdin=subprocess.PIPE, timeout=20
    )
    assert done.returncode == 1


def test_nothing_is_left_in_the_file_system(remote: RemoteEngine) -> None:
    folders = [Path('/dev/shm'), Path(os.environ.get('TMPDIR', '/tmp'))]

    def files() -> set[Path]:
        return {path for folder in folders if folder.is_dir() for path in folder.glob('*ptycho*')}

    before = files()
    with pytest.raises(WorkerDiedError):
        remote.reconstruct(scan_that('work'), LONG, None, AtStep(1, lambda: kill_soon(remote, [])))
    assert files() == before


def test_descriptors_are_closed() -> None:
    def count() -> int:
        return len(list(Path('/proc/self/fd').iterdir()))

    with toy_engine() as remote:
        remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    gc.collect()
    before = count()
    with toy_engine() as remote:
        remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    del remote
    assert eventually(lambda: gc.collect() >= 0 and count() <= before, 2)


def test_no_scan_stays_in_the_worker_after_its_job(remote: RemoteEngine) -> None:
    def mappings() -> int:
        maps = Path(f'/proc/{remote.worker_pid}/maps').read_text()
        return maps.count('memfd:ptychopinn-worker')

    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    assert eventually(lambda: mappings() == 0, 2)
    remote.fit([scan_that('cycle')], ModelConfig(), TrainingConfig(epochs=6), Monitor())
    assert eventually(lambda: mappings() == 0, 2)


SCRIPT = """
    import signal, sys, os, time
    # A shell that starts the tests in the background has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[:0] = [{root!r}]
    from ptychopinn_plugin.monitor import BestModelMonitor, Monitor
    from tests.worker.conftest import toy_engine
    from tests.worker.helpers import INFERENCE, scan_that

    engine = toy_engine()
    engine.reconstruct(scan_that(''), INFERENCE, None, Monitor())
    print('worker', engine.worker_pid, flush=True)
    if {behaviour!r}:
        engine.reconstruct(scan_that({behaviour!r}), INFERENCE, None, Monitor())
    {end}
"""


@contextlib.contextmanager
def script(tmp_path: Path, behaviour: str, end: str = '') -> Iterator[subprocess.Popen[str]]:
    """Run a script that works with a worker, without any guard against being imported."""
    path = tmp_path / 'script.py'
    path.write_text(textwrap.dedent(SCRIPT).format(root=str(ROOT), behaviour=behaviour, end=end))
    # Files that would be imported in place of a package, were the folder of the call searched.
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere' / 'json.py').write_text('raise SystemExit("the wrong json")')
    with subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path / 'elsewhere',
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # or a test that fails waits for its end


def worker_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith('worker '), line + process.stdout.read()
    return int(line.split()[1])


def test_a_script_needs_no_guard_and_leaves_no_worker(tmp_path: Path) -> None:
    with script(tmp_path, '', "print('done')") as process:
        pid = worker_of(process)
        assert process.stdout is not None
        assert process.stdout.read() == 'done\n'
        assert process.wait(10) == 0
        assert eventually(lambda: not runs(pid), 1)


@pytest.mark.parametrize('behaviour', ['', 'hold'])
def test_the_worker_of_a_killed_parent_ends(tmp_path: Path, behaviour: str) -> None:
    with script(tmp_path, behaviour, 'time.sleep(60)') as process:
        pid = worker_of(process)
        time.sleep(0.3)
        assert runs(pid)
        process.kill()
        assert eventually(lambda: not runs(pid), 1)


def test_ctrl_c_ends_both(tmp_path: Path) -> None:
    with script(tmp_path, 'hang') as process:
        pid = worker_of(process)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout is not None
        assert 'KeyboardInterrupt' in process.stdout.read()
        process.wait(10)
        assert eventually(lambda: not runs(pid), 1)
