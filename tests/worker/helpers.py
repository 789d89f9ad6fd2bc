"""Scans that set the behaviour of the toy engine, monitors, and a look at processes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction, ScanData
from tests.helpers import make_scan

STEPS = 4
INFERENCE = InferenceConfig(refine_iterations=STEPS)


@cache
def quiet_scan() -> ScanData:
    return make_scan(frame_size=16, side=3, modes=2)


def scan_that(behaviour: str) -> ScanData:
    return dataclasses.replace(quiet_scan(), source=behaviour)


class AtStep(Monitor):
    """Calls a function when a step is reported."""

    def __init__(self, step: int, action: Callable[[], object]) -> None:
        self.step = step
        self.action = action

    def on_progress(self, progress: Progress) -> None:
        if progress.step == self.step:
            self.action()


class Recorder(Monitor):
    """Keeps what is reported; requests a stop once `stop_at` steps were done."""

    def __init__(self, stop_at: int = 10**9, *, previews: bool = False) -> None:
        self.stop_at = stop_at
        self.previews = previews
        self.steps: list[Progress] = []
        self.previews_seen: list[Reconstruction] = []
        self.models: list[TrainedModel] = []
        self.stopped_at = float('inf')

    def on_progress(self, progress: Progress) -> None:
        self.steps.append(progress)

    def should_stop(self) -> bool:
        stop = len(self.steps) >= self.stop_at
        if stop:
            self.stopped_at = min(self.stopped_at, time.monotonic())
        return stop

    def seconds_since_stop(self) -> float:
        return time.monotonic() - self.stopped_at

    def wants_preview(self) -> bool:
        return self.previews

    def on_preview(self, reconstruction: Reconstruction) -> None:
        self.previews_seen.append(reconstruction)

    def wants_models(self) -> bool:
        return True

    def on_better_model(self, model: TrainedModel) -> None:
        self.models.append(model)


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; return whether it came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def exists(pid: int | None) -> bool:
    """Return whether a process is there, be it only as a zombie."""
    return Path(f'/proc/{pid}').exists()


def runs(pid: int) -> bool:
    """Return whether a process is there and no zombie; init may be slow to reap an orphan."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in 'ZX'


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path('/proc').iterdir():
        if entry.name.isdigit() and runs(int(entry.name)):
            try:
                parent = (entry / 'stat').read_text().rpartition(')')[2].split()[1]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == pid:
                found.append(int(entry.name))
    return found


def descendants_of(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    found = children_of(pid)
    return found + [below for child in found for below in descendants_of(child)]


def same_bits(one: object, other: object) -> bool:
    """Compare two dataclasses of arrays, bit by bit."""
    assert type(one) is type(other)
    for field in dataclasses.fields(one):  # type: ignore[arg-type]
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
                return False
        elif dataclasses.is_dataclass(a):
            if not same_bits(a, b):
                return False
        elif isinstance(a, dict):
            if a.keys() != b.keys() or any(a[k].tobytes() != b[k].tobytes() for k in a):
                return False
        elif a != b:
            return False
    return True
