"""A blocking call becomes a generator that can be followed, stopped and closed."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator

import pytest

from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.hosts.host_tasks import NoHost
from ptychopinn_plugin.hosts.jobs import THREAD_NAME, Event, run_job
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction
from tests.worker.helpers import STEPS, quiet_scan
from tests.worker.toy import ToyEngine

Job = Generator[int, None, str]


def step_number(event: Event) -> int | None:
    """Return the number of a step, nothing for a preview and for the second step."""
    return event.step if isinstance(event, Progress) and event.step != 2 else None


def report_steps(monitor: Monitor) -> str:
    for step in range(1, STEPS + 1):
        monitor.on_progress(Progress('solver', step, STEPS, 1 / step))
    return f'ran in {threading.current_thread().name}'


def until_stopped(monitor: Monitor) -> str:
    monitor.on_progress(Progress('solver', 1, 2, 1.0))
    while not monitor.should_stop():
        time.sleep(0.01)
    raise Cancelled('stopped on request')


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def collect(job: Generator[int, None, str]) -> tuple[list[int], str]:
    """Return what a job yields and what it returns."""
    results: list[str] = []

    def keep() -> Generator[int, None, None]:
        results.append((yield from job))

    return list(keep()), results[0]


def test_steps_are_converted_in_order_and_the_result_is_returned() -> None:
    job: Job = run_job(report_steps, NoHost(), step_number)
    assert collect(job) == ([1, 3, 4], f'ran in {THREAD_NAME}')
    assert not threads()


def test_nothing_runs_before_the_first_event_is_asked_for() -> None:
    job: Job = run_job(until_stopped, NoHost(), step_number)
    assert not threads()
    job.close()


def test_an_error_of_the_call_is_raised_after_its_events() -> None:
    def fail(monitor: Monitor) -> str:
        report_steps(monitor)
        raise ZeroDivisionError

    job: Job = run_job(fail, NoHost(), step_number)
    assert [next(job), next(job), next(job)] == [1, 3, 4]
    with pytest.raises(ZeroDivisionError):
        next(job)


@pytest.mark.parametrize('leave', [Generator.close, lambda job: job.throw(KeyError)])
def test_a_generator_that_is_left_early_stops_the_call(leave: Callable[[Job], object]) -> None:
    job: Job = run_job(until_stopped, NoHost(), step_number)
    assert next(job) == 1
    assert threads()
    began = time.monotonic()
    with contextlib.suppress(KeyError):
        leave(job)
    assert time.monotonic() - began < 1
    assert not threads()


def test_an_error_of_the_conversion_stops_the_call() -> None:
    def fail(_: Event) -> int:
        raise ZeroDivisionError

    job: Job = run_job(until_stopped, NoHost(), fail)
    with pytest.raises(ZeroDivisionError):
        next(job)
    assert not threads()


def test_the_host_stops_the_call_and_gets_its_progress() -> None:
    class Host(NoHost):
        def __init__(self) -> None:
            self.reports: list[tuple[int, int]] = []
            self.stop = False

        def should_stop(self) -> bool:
            return self.stop

        def report(self, step: int, total: int) -> None:
            self.reports.append((step, total))

    host = Host()
    collect(run_job(report_steps, host, step_number))
    assert host.reports == [(STEPS, STEPS)], 'steps that follow closely are reported once'
    job: Job = run_job(until_stopped, host, step_number)
    next(job)
    host.stop = True
    with pytest.raises(Cancelled):
        next(job)


@pytest.mark.parametrize(('seconds', 'previews'), [(0.0, STEPS - 1), (60.0, 0), (None, 0)])
def test_previews_come_at_most_so_often(seconds: float | None, previews: int) -> None:
    def work(monitor: Monitor) -> Reconstruction:
        inference = InferenceConfig(refine_iterations=STEPS)
        engine = ToyEngine(ExecutionConfig(backend='pytorch'))
        return engine.reconstruct(quiet_scan(), inference, None, monitor)

    def only_previews(event: Event) -> Reconstruction | None:
        return event if isinstance(event, Reconstruction) else None

    job: Generator[Reconstruction, None, Reconstruction] = run_job(
        work, NoHost(), only_previews, preview_seconds=seconds
    )
    assert len(list(job)) == previews


def test_a_host_that_is_still_drawing_gets_no_further_preview() -> None:
    """Else a window that draws slower than previews come has no time for its user."""

    class Drawing(NoHost):
        def __init__(self) -> None:
            self.drawn: list[Callable[[], None]] = []

        def call_when_shown(self, call: Callable[[], None]) -> None:
            self.drawn.append(call)

    host = Drawing()
    engine = ToyEngine(ExecutionConfig())
    preview = engine.reconstruct(quiet_scan(), InferenceConfig(), None, Monitor())
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    go_on = threading.Semaphore(0)

    def work(monitor: Monitor) -> str:
        monitor.on_progress(Progress('solver', 1, 9, 1.0))
        for step in range(2, 5):
            answers.put(monitor.wants_preview())
            if step == 2:
                monitor.on_preview(preview)
            monitor.on_progress(Progress('solver', step, 9, 1.0))
            go_on.acquire()
        return 'done'

    job: Generator[Event, None, str] = run_job(work, host, lambda each: each, preview_seconds=0.0)
    while not isinstance(next(job), Reconstruction):
        pass
    next(job)  # the preview is with the host, which has not drawn it
    go_on.release()
    assert [answers.get(), answers.get()] == [True, False]
    host.drawn.pop()()
    go_on.release(2)
    assert answers.get()
    job.close()
