"""A remote engine returns and reports what one in the same process does."""

import dataclasses
import logging
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled, ModelMismatchError, ScanDataError, WorkerError
from ptychopinn_plugin.hosts.host_tasks import NoHost
from ptychopinn_plugin.hosts.jobs import Event, run_job
from ptychopinn_plugin.io.model_file import weights_fingerprint
from ptychopinn_plugin.monitor import BestModelMonitor, Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.fake_engine import fake_model
from tests.helpers import make_scan
from tests.worker.helpers import (
    INFERENCE,
    STEPS,
    AtStep,
    Recorder,
    quiet_scan,
    same_bits,
    scan_that,
)
from tests.worker.toy import ToyEngine

TRAINING = TrainingConfig(epochs=6)


def without_stages(reconstruction: Reconstruction) -> Reconstruction:
    return dataclasses.replace(reconstruction, stages=())


def test_a_reconstruction_is_the_same(remote: RemoteEngine) -> None:
    near: Engine = ToyEngine(ExecutionConfig(backend='pytorch'))
    far: Engine = remote
    model = fake_model(quiet_scan(), [(1.0, 2.0)])
    for used in (None, model):
        near_monitor, far_monitor = Recorder(), Recorder()
        one = near.reconstruct(quiet_scan(), INFERENCE, used, near_monitor)
        other = far.reconstruct(quiet_scan(), INFERENCE, used, far_monitor)
        assert same_bits(without_stages(one), without_stages(other))
        assert near_monitor.steps == far_monitor.steps
        assert len(near_monitor.steps) == STEPS
        assert other.probe.flags.writeable


def test_a_training_is_the_same(remote: RemoteEngine, tmp_path: Path) -> None:
    near: Engine = ToyEngine(ExecutionConfig(backend='pytorch'))
    far: Engine = remote
    scans = [quiet_scan(), make_scan(frame_size=16, side=2)]
    near_monitor, far_monitor = Recorder(), Recorder()
    best = BestModelMonitor(far_monitor)
    config = ModelConfig(width=8)
    one = near.fit(scans, config, TRAINING, near_monitor)
    other = far.fit(scans, config, TRAINING, best, folder=tmp_path, resume=True)
    assert same_bits(one, other)
    assert near_monitor.steps == far_monitor.steps
    assert len(far_monitor.models) == 3
    for sent, received in zip(near_monitor.models, far_monitor.models, strict=True):
        assert same_bits(sent, received)
    assert (tmp_path / 'trained').read_text() == 'resume True'
    # Sent whole the first time, by its name alone the second time.
    for _ in range(2):
        far.fit(scans, config, TRAINING, Monitor(), folder=tmp_path, initial=one)
        assert (tmp_path / 'initial').read_text() == weights_fingerprint(one)
        (tmp_path / 'initial').unlink()
    assert same_bits(best.best_model, other)


def test_a_relative_folder_is_that_of_the_caller(
    remote: RemoteEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    monkeypatch.chdir(tmp_path)
    Path('logs').mkdir()
    remote.fit([quiet_scan()], ModelConfig(), TRAINING, Monitor(), folder=Path('logs'))
    assert (tmp_path / 'logs' / 'trained').exists()


def test_previews_come_while_they_are_wanted(remote: RemoteEngine) -> None:
    blind, seeing = Recorder(), Recorder(previews=True)
    remote.reconstruct(scan_that('work'), INFERENCE, None, blind)
    last = remote.reconstruct(
        scan_that('work'), InferenceConfig(refine_iterations=20), None, seeing
    )
    assert not blind.previews_seen
    assert 1 <= len(seeing.previews_seen) < 20
    assert same_bits(without_stages(seeing.previews_seen[0]), without_stages(last))


def test_steps_and_previews_can_be_taken_one_by_one(remote: RemoteEngine) -> None:
    def work(monitor: Monitor) -> Reconstruction:
        return remote.reconstruct(
            scan_that('work'), InferenceConfig(refine_iterations=20), None, monitor
        )

    def same(event: Event) -> Event:
        return event

    steps: Generator[Event, None, Reconstruction] = run_job(
        work, NoHost(), same, preview_seconds=0.0
    )
    seen: list[Event] = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            last = end.value
            break
    assert [each.step for each in seen if isinstance(each, Progress)] == list(range(1, 21))
    previews = [each for each in seen if isinstance(each, Reconstruction)]
    assert 1 <= len(previews) < 20
    for preview in previews:
        assert same_bits(without_stages(preview), without_stages(last))


def test_large_arrays_arrive_bit_by_bit(remote: RemoteEngine) -> None:
    small = make_scan(frame_size=64, side=3)
    frames = np.random.default_rng(0).random((2000, 64, 64)).astype(np.float32)
    positions = np.random.default_rng(1).random((2000, 2)) * 100
    large = dataclasses.replace(small, counts=frames, positions_px=positions)
    result = remote.reconstruct(large, INFERENCE, None, Monitor())
    assert result.coverage.tobytes() == frames.sum(axis=0).tobytes()
    assert result.residual.tobytes() == positions[:, 0].tobytes()


def test_shared_memory_is_given_back_after_each_job(remote: RemoteEngine) -> None:
    def shared_bytes() -> int:
        # The listing has a descriptor of its own, which is gone by the time of a look at it.
        found = [fd for fd in list(Path('/proc/self/fd').iterdir()) if fd.is_symlink()]
        return sum(fd.stat().st_size for fd in found if 'ptychopinn' in str(fd.readlink()))

    used: list[int] = []
    remote.reconstruct(
        scan_that('work'), INFERENCE, None, AtStep(1, lambda: used.append(shared_bytes()))
    )
    assert used[0] >= quiet_scan().counts.nbytes
    assert shared_bytes() == 0
    with pytest.raises(Cancelled):
        remote.reconstruct(scan_that('work'), INFERENCE, None, Recorder(stop_at=1))
    assert shared_bytes() == 0


def test_the_process_its_engine_and_its_model_stay(remote: RemoteEngine) -> None:
    def stages(gain: float, execution: ExecutionConfig | None = None) -> tuple[str, ...]:
        remote.configure(execution or ExecutionConfig(backend='pytorch'))
        model = fake_model(quiet_scan(), [(gain, 2.0)])
        return remote.reconstruct(quiet_scan(), INFERENCE, model, Monitor()).stages

    first = stages(1.0)
    assert first[1] == f'process {remote.worker_pid}'
    assert stages(1.0) == first, 'the same model by value is not sent again'
    other = stages(2.0)
    assert other[:2] == first[:2]
    assert other[2] != first[2]
    threads = stages(2.0, ExecutionConfig(backend='pytorch', threads=1))
    assert threads[0] != first[0], 'another config needs another engine'
    assert threads[1:] == other[1:], 'but neither another process nor another model'
    stages(1.0)


def test_a_model_reaches_a_fresh_worker_too(remote: RemoteEngine) -> None:
    model = fake_model(quiet_scan(), [(1.0, 2.0)])
    before = remote.reconstruct(quiet_scan(), INFERENCE, model, Monitor())
    remote.close()
    after = remote.reconstruct(quiet_scan(), INFERENCE, model, Monitor())
    assert after.model_name == before.model_name
    assert after.stages[1] != before.stages[1]


def test_a_model_that_met_an_error_is_not_taken_for_another(remote: RemoteEngine) -> None:
    one, other = (fake_model(quiet_scan(), [(loss, 2.0)]) for loss in (1.0, 2.0))
    remote.reconstruct(quiet_scan(), INFERENCE, one, Monitor())
    with pytest.raises(ModelMismatchError):
        remote.reconstruct(scan_that('refuse'), INFERENCE, other, Monitor())
    for model in (one, other):
        result = remote.reconstruct(quiet_scan(), INFERENCE, model, Monitor())
        assert result.losses == tuple(model.losses[:, 0])


def test_another_backend_is_another_process(remote: RemoteEngine) -> None:
    one = remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    remote.configure(ExecutionConfig(backend='tensorflow'))
    other = remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    remote.configure(ExecutionConfig(backend='pytorch'))
    assert (one.backend, other.backend) == ('pytorch', 'tensorflow')
    assert one.stages[1] != other.stages[1]


def test_errors_cross_with_class_and_message(
    remote: RemoteEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ModelMismatchError, match=r'^the model is for other frames$'):
        remote.reconstruct(scan_that('refuse'), INFERENCE, None, Monitor())
    with pytest.raises(ScanDataError) as faults:
        remote.reconstruct(scan_that('fault'), INFERENCE, None, Monitor())
    assert faults.value.faults == ('one', 'two')
    pid = remote.worker_pid
    with pytest.raises(WorkerError, match=r'KeyError.*nobody expected this'):
        remote.reconstruct(scan_that('break'), INFERENCE, None, Monitor())
    assert 'toy.py' in caplog.text
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    assert remote.worker_pid == pid


def test_noise_does_no_harm_and_logs_arrive(
    remote: RemoteEngine, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, 'ptychopinn_plugin')
    result = remote.reconstruct(scan_that('noise'), INFERENCE, None, Monitor())
    assert result.backend == 'pytorch'
    records = {(r.name, r.levelname, r.getMessage()) for r in caplog.records}
    assert ('ptychopinn_plugin.toy', 'WARNING', 'noise of a log') in records
    assert ('ptychopinn_plugin.toy', 'INFO', 'noise of another') in records
    time.sleep(0.1)
    for who in ('Python', 'C', 'a child', 'stderr'):
        assert f'worker: noise of {who}' in caplog.text
    assert 'worker: noise of a log' not in caplog.text, 'said once is enough'
    assert capfd.readouterr() == ('', '')


def test_logs_that_nobody_wants_do_not_cross(
    remote: RemoteEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, 'ptychopinn_plugin')
    remote.reconstruct(scan_that('noise'), INFERENCE, None, Monitor())
    assert not caplog.records


def test_two_jobs_at_once_are_refused(remote: RemoteEngine) -> None:
    def begin_another() -> None:
        with pytest.raises(WorkerError, match='in the middle of a job'):
            remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
        remote.warm_up()
        refused.append(True)

    refused: list[bool] = []
    remote.reconstruct(scan_that('work'), INFERENCE, None, AtStep(1, begin_another))
    assert refused == [True]
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())


def test_a_worker_outlives_the_thread_that_needed_it_first(remote: RemoteEngine) -> None:
    remote.close()

    def job() -> None:
        remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    pid = remote.worker_pid
    assert pid is not None
    time.sleep(0.2)
    job()
    assert remote.worker_pid == pid


def test_a_warm_worker_has_its_engine_before_the_first_job(remote: RemoteEngine) -> None:
    remote.close()
    began = time.monotonic()
    remote.warm_up()
    assert time.monotonic() - began < 0.3
    pid = remote.worker_pid
    result = remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    assert result.stages[:2] == ('engine 1', f'process {pid}')


def test_arrays_go_through_the_pipe_where_memory_cannot_be_shared(
    monkeypatch: pytest.MonkeyPatch, remote: RemoteEngine
) -> None:
    monkeypatch.setattr('ptychopinn_plugin.worker.shared_memory.SharedMemory.create', lambda: None)
    remote.close()
    model = fake_model(quiet_scan(), [(1.0, 2.0)])
    result = remote.reconstruct(quiet_scan(), INFERENCE, model, Monitor())
    remote.close()
    assert result.probe.tobytes() == quiet_scan().probe.tobytes()


def test_a_program_without_its_python_gets_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = RemoteEngine(ExecutionConfig(backend='pytorch'))
    monkeypatch.setattr(sys, 'executable', '')
    with pytest.raises(WorkerError, match=r'sys\.executable'):
        engine.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    monkeypatch.setattr(sys, 'executable', '/nowhere/python')
    with pytest.raises(WorkerError, match='can be started'):
        engine.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    engine.warm_up()
