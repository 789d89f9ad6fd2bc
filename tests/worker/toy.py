"""An engine without a framework whose behaviour is the source of its scan."""

from __future__ import annotations

import ctypes
import dataclasses
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ptychopinn_plugin.config import (
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import Cancelled, ModelMismatchError, ScanDataError
from ptychopinn_plugin.io.model_file import TrainedModel, weights_fingerprint
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import Reconstruction, ScanData
from tests.fake_engine import FakeEngine

OPTIONS = ('--engine', 'tests.worker.toy:ToyEngine')
logger = logging.getLogger('ptychopinn_plugin.toy')


class ToyEngine(FakeEngine):
    """Returns what it received; the number of engines made so far is in the result's stages."""

    made = 0

    def __init__(self, execution: ExecutionConfig) -> None:
        super().__init__(execution)
        type(self).made += 1
        self.backend = execution.backend
        self.trains = False

    def configure(self, execution: ExecutionConfig) -> None:
        super().configure(execution)
        self.backend = execution.backend

    def called(self, **arguments: object) -> None:
        self.trains = 'scans' in arguments

    def seconds(self, step: int) -> float:
        return step / 8

    def after_step(self, number: int, scan: ScanData, monitor: Monitor) -> None:
        # In a training there is a model then, and no better one comes.
        if not self.trains or number == 5:
            behave(scan, monitor)

    def losses(self, epoch: int) -> tuple[float, float]:
        """Return losses that are worse again after the third epoch."""
        return 1 / epoch, 1 + abs(epoch - 3)

    def result(
        self, scan: ScanData, inference: InferenceConfig, model: TrainedModel | None, step: int
    ) -> Reconstruction:
        return dataclasses.replace(
            super().result(scan, inference, model, step),
            object_canvas=scan.counts[0].astype(np.complex64),
            origin_px=(-3, 7),
            coverage=scan.counts.sum(axis=0),
            residual=scan.positions_px[:, 0],
            stages=(f'engine {self.made}', f'process {os.getpid()}', f'model {id(model)}'),
            seconds=0.25,
        )

    def fit(
        self,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        monitor: Monitor,
        *,
        folder: Path | None = None,
        resume: bool = False,
        initial: TrainedModel | None = None,
    ) -> TrainedModel:
        if folder is not None and initial is not None:
            (folder / 'initial').write_text(weights_fingerprint(initial))
        if scans[0].source == 'cycle':
            # Its objects refer to each other, as those of a framework's training do.
            cycle: list[object] = [scans]
            cycle.append(cycle)
        return super().fit(
            scans, model, training, monitor, folder=folder, resume=resume, initial=initial
        )

    def leave_checkpoint(self, folder: Path | None, *, resume: bool) -> None:
        if folder is not None:
            (folder / 'trained').write_text(f'resume {resume}')


def behave(scan: ScanData, monitor: Monitor) -> None:
    """Do in the middle of a job what the source of the scan names."""
    if scan.source in BEHAVIOURS:
        BEHAVIOURS[scan.source]()
    if monitor.should_stop() and scan.source == 'work':
        raise Cancelled('stopped as asked')


def hang() -> None:
    time.sleep(60)


def hold() -> None:
    # In C, with the interpreter locked: no other thread of the process can do a thing.
    ctypes.PyDLL(None).sleep(60)


def leave() -> None:
    sys.stderr.write('the last words\n')
    os._exit(7)


def refuse() -> None:
    raise ModelMismatchError('the model is for other frames')


def fault() -> None:
    raise ScanDataError(['one', 'two'], 'scan.npz')


def break_down() -> None:
    raise KeyError('nobody expected this')


def keep_a_helper() -> None:
    # It keeps every pipe of its parent open, as a data loader does.
    os.fork()
    time.sleep(60)


def make_noise() -> None:
    """Print in every way that a framework may."""
    print('noise of Python', flush=True)  # noqa: T201
    os.write(1, b'noise of C\n')
    subprocess.run(['echo', 'noise of a child'], check=True)
    sys.stderr.write('noise of stderr\n')
    logger.warning('noise of a %s', 'log')
    logger.info('noise of another')
    # The parent's requests are not for others to read.
    assert sys.stdin.read() == ''
    assert threading.current_thread() is threading.main_thread()


BEHAVIOURS: dict[str, Callable[[], object]] = {
    'work': lambda: time.sleep(0.02),
    'hang': hang,
    'hold': hold,
    'leave': leave,
    'noise': make_noise,
    'refuse': refuse,
    'fault': fault,
    'break': break_down,
    'helper': keep_a_helper,
}
