"""An engine without a framework whose behaviour is the source of its scan."""

from __future__ import annotations

import ctypes
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
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import Cancelled, ModelMismatchError, ScanDataError
from ptychopinn_plugin.io.model_file import Manifest, TrainedModel, weights_fingerprint
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.scan import Reconstruction, ScanData

OPTIONS = ('--engine', 'tests.worker.toy:ToyEngine')
logger = logging.getLogger('ptychopinn_plugin.toy')


class ToyEngine:
    """Returns what it received; the number of engines made so far is in the result's stages."""

    backend: Backend = 'pytorch'
    made = 0

    def __init__(self, execution: ExecutionConfig) -> None:
        type(self).made += 1
        self.backend = execution.backend

    def configure(self, execution: ExecutionConfig) -> None:
        self.backend = execution.backend

    def close(self) -> None:
        """Do nothing."""

    def reconstruct(
        self,
        scan: ScanData,
        inference: InferenceConfig,
        model: TrainedModel | None,
        monitor: Monitor,
    ) -> Reconstruction:
        steps = inference.refine_iterations
        result = Reconstruction(
            object_canvas=scan.counts[0].astype(np.complex64),
            origin_px=(-3, 7),
            probe=scan.probe,
            positions_px=scan.positions_px,
            coverage=scan.counts.sum(axis=0),
            residual=scan.positions_px[:, 0],
            stages=(f'engine {self.made}', f'process {os.getpid()}', f'model {id(model)}'),
            backend=self.backend,
            seconds=0.25,
            pixel_size_m=scan.metadata.pixel_size_m,
            model_name=weights_fingerprint(model) if model else '',
            losses=() if model is None else tuple(float(loss) for loss in model.losses[:, 0]),
        )
        for step in range(1, steps + 1):
            if monitor.should_stop():
                raise Cancelled('stopped as asked')
            monitor.on_progress(Progress('solver', step, steps, 1 / step, seconds=step / 8))
            if step < steps and monitor.wants_preview():
                monitor.on_preview(result)
            behave(scan, monitor)
        return result

    def fit(
        self,
        scans: Sequence[ScanData],
        model: ModelConfig,
        training: TrainingConfig,
        monitor: Monitor,
        *,
        folder: Path | None = None,
        resume: bool = False,
    ) -> TrainedModel:
        trained = None
        if scans[0].source == 'cycle':
            # Its objects refer to each other, as those of a framework's training do.
            cycle: list[object] = [scans]
            cycle.append(cycle)
        losses: list[tuple[float, float]] = []
        # Worse again after the third epoch.
        for epoch in range(1, training.epochs + 1):
            losses.append((1 / epoch, 1 + abs(epoch - 3)))
            monitor.on_progress(Progress('train', epoch, training.epochs, *losses[-1]))
            if epoch <= 3:
                trained = toy_model(scans[0], losses, model, training, self.backend)
                if monitor.wants_models():
                    monitor.on_better_model(trained)
            if epoch == 5:
                behave(scans[-1], monitor)
            if monitor.should_stop():
                break
        assert trained is not None
        if folder is not None:
            (folder / 'trained').write_text(f'resume {resume}')
        return toy_model(scans[0], losses, model, training, self.backend, trained.weights['gain'])


def toy_model(
    scan: ScanData,
    losses: Sequence[tuple[float, float]],
    model: ModelConfig | None = None,
    training: TrainingConfig | None = None,
    backend: Backend = 'pytorch',
    gain: np.ndarray | None = None,
) -> TrainedModel:
    manifest = Manifest(
        package_version='0',
        backend=backend,
        model=model or ModelConfig(),
        training=training or TrainingConfig(),
        frame_size=scan.frame_size,
        photons_per_frame=(1e5,),
    )
    weight = np.array([len(losses)], np.float32) if gain is None else gain
    return TrainedModel({'gain': weight}, scan.probe, np.array(losses, np.float64), manifest)


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
