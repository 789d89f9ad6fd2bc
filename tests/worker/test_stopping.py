"""A stop takes less than a second, whatever the worker is doing."""

import dataclasses
import os
import signal
import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled, ScanDataError
from ptychopinn_plugin.hosts.host_tasks import NoHost
from ptychopinn_plugin.hosts.jobs import Event, run_job
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import BestModelMonitor, Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.fake_engine import fake_model
from tests.worker.helpers import INFERENCE, Recorder, exists, quiet_scan, same_bits, scan_that

LONG = InferenceConfig(refine_iterations=10_000)
TRAINING = TrainingConfig(epochs=6)


def same(event: Event) -> Event:
    return event


def works_again(remote: RemoteEngine) -> bool:
    remote.reconstruct(quiet_scan(), INFERENCE, None, Monitor())
    return True


def test_between_steps_the_engine_stops_itself(remote: RemoteEngine) -> None:
    recorder = Recorder(stop_at=3)
    with pytest.raises(Cancelled, match='stopped as asked'):
        remote.reconstruct(scan_that('work'), LONG, None, recorder)
    assert recorder.seconds_since_stop() < 0.5
    pid = remote.worker_pid
    assert pid is not None
    assert works_again(remote)
    assert remote.worker_pid == pid, 'a worker that stops in time is kept'


def test_in_a_long_step_the_worker_is_ended(remote: RemoteEngine) -> None:
    asked: list[float] = []

    class Asked(Recorder):
        def should_stop(self) -> bool:
            if self.steps:
                asked.append(time.monotonic())
            return len(asked) > 8

    with pytest.raises(Cancelled):
        remote.reconstruct(scan_that('hold'), LONG, None, Asked())
    assert time.monotonic() - asked[-1] < 1
    assert np.median([later - sooner for sooner, later in pairwise(asked)]) < 0.08
    assert remote.worker_pid is None
    assert works_again(remote)


def test_a_frozen_worker_is_ended(remote: RemoteEngine) -> None:
    class Freezing(Recorder):
        def on_progress(self, progress: Progress) -> None:
            super().on_progress(progress)
            if progress.step == 1:
                assert remote.worker_pid is not None
                os.kill(remote.worker_pid, signal.SIGSTOP)
                self.stop_at = 0

    recorder = Freezing()
    with pytest.raises(Cancelled):
        remote.reconstruct(scan_that('work'), LONG, None, recorder)
    assert recorder.seconds_since_stop() < 1


# More than a pipe holds (64 kB on Linux): the decisions are part of the message's header.
LARGE = dataclasses.replace(quiet_scan(), decisions=('x' * 300_000,))


def frozen_worker(remote: RemoteEngine) -> int:
    works_again(remote)
    pid = remote.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return pid


def test_a_stop_is_not_behind_a_request_that_a_frozen_worker_does_not_read(
    remote: RemoteEngine,
) -> None:
    pid = frozen_worker(remote)
    recorder = Recorder()
    threading.Timer(0.2, setattr, (recorder, 'stop_at', 0)).start()
    with pytest.raises(Cancelled, match='was ended'):
        remote.reconstruct(LARGE, LONG, None, recorder)
    assert recorder.seconds_since_stop() < 1
    assert not exists(pid)
    assert works_again(remote)


def test_close_is_not_behind_a_request_that_a_frozen_worker_does_not_read(
    remote: RemoteEngine,
) -> None:
    frozen_worker(remote)
    closed: list[float] = []

    def close() -> None:
        began = time.monotonic()
        remote.close()
        closed.append(time.monotonic() - began)

    timer = threading.Timer(0.2, close)
    timer.start()
    with pytest.raises(Cancelled, match='ended'):
        remote.reconstruct(LARGE, LONG, None, Recorder())
    timer.join()
    assert closed[0] < 1


def test_a_large_request_arrives_whole(remote: RemoteEngine) -> None:
    large = dataclasses.replace(LARGE, source='fault')
    with pytest.raises(ScanDataError, match=r'scan\.npz: 2 faults'):
        remote.reconstruct(large, INFERENCE, None, Monitor())
    assert works_again(remote)


def test_a_stop_while_arrays_are_copied_leaves_the_worker_and_its_model(
    remote: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    works_again(remote)
    pid, model = remote.worker_pid, fake_model(quiet_scan(), [(1.0, 2.0)])
    with monkeypatch.context() as few_bytes:
        few_bytes.setattr('ptychopinn_plugin.worker.shared_memory.BYTES_BETWEEN_CHECKS', 100)
        with pytest.raises(Cancelled, match='before the worker began'):
            remote.reconstruct(quiet_scan(), LONG, model, Recorder(stop_at=0))
    result = remote.reconstruct(quiet_scan(), INFERENCE, model, Monitor())
    assert result.model_name
    assert remote.worker_pid == pid


@pytest.mark.parametrize('behaviour', ['work', 'hang'])
def test_a_closed_generator_is_a_stop(remote: RemoteEngine, behaviour: str) -> None:
    def work(monitor: Monitor) -> Reconstruction:
        return remote.reconstruct(scan_that(behaviour), LONG, None, monitor)

    steps = run_job(work, NoHost(), same)
    assert isinstance(next(steps), Progress)
    pid = remote.worker_pid
    began = time.monotonic()
    steps.close()
    assert time.monotonic() - began < 1
    assert (remote.worker_pid == pid) == (behaviour == 'work')
    assert works_again(remote)


def test_an_error_of_the_monitor_is_a_stop(remote: RemoteEngine) -> None:
    class Broken(Monitor):
        def on_progress(self, progress: Progress) -> None:
            raise ZeroDivisionError

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        remote.reconstruct(scan_that('work'), LONG, None, Broken())
    assert time.monotonic() - began < 5
    assert works_again(remote)


def test_closing_the_engine_ends_its_job(remote: RemoteEngine) -> None:
    threading.Timer(0.2, remote.close).start()
    recorder = Recorder()
    with pytest.raises(Cancelled, match='ended'):
        remote.reconstruct(scan_that('hold'), LONG, None, recorder)
    assert remote.worker_pid is None
    assert works_again(remote)


def test_a_training_stopped_in_a_long_step_gives_its_best_model(
    remote: RemoteEngine, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(stop_at=5)
    best = BestModelMonitor(recorder)
    model = remote.fit([scan_that('hang')], ModelConfig(), TRAINING, best)
    assert recorder.seconds_since_stop() < 1
    assert model.weights['gain'] == 3, 'the third epoch was the best'
    assert len(model.losses) == 5, 'but five were done'
    assert model.losses[-1].tolist() == [1 / 5, 3.0]
    assert same_bits(best.best_model, model)
    assert 'best so far' in caplog.text


def test_a_training_that_stops_in_time_returns_the_model_of_its_engine(
    remote: RemoteEngine,
) -> None:
    recorder = Recorder(stop_at=2)
    remote.warm_up()
    model = remote.fit([scan_that('work')], ModelConfig(), TRAINING, recorder)
    assert 2 <= len(model.losses) <= 6
    assert remote.worker_pid is not None


@pytest.mark.parametrize('behaviour', ['work', 'hang'])
def test_a_closed_training_keeps_its_best_model(remote: RemoteEngine, behaviour: str) -> None:
    models: list[TrainedModel | None] = []

    def work(monitor: Monitor) -> None:
        best = BestModelMonitor(monitor)
        models.append(remote.fit([scan_that(behaviour)], ModelConfig(), TRAINING, best))
        models.append(best.best_model)

    steps = run_job(work, NoHost(), same)
    for _ in range(5):
        next(steps)
    steps.close()
    assert len(models) == 2
    for model in models:
        assert model is not None
        assert model.weights['gain'] == 3
        assert len(model.losses) >= 5


def test_a_stop_before_the_first_epoch_leaves_no_model(remote: RemoteEngine) -> None:
    remote.fit([quiet_scan()], ModelConfig(), TRAINING, before := BestModelMonitor(Monitor()))
    assert before.best_model is not None
    pid = remote.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    best = BestModelMonitor(Recorder(stop_at=0))
    with pytest.raises(Cancelled):
        remote.fit([quiet_scan()], ModelConfig(), TRAINING, best)
    assert not exists(pid)
    assert best.best_model is None
