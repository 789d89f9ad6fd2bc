"""An engine without a framework whose steps last as long as a test needs."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled, ReconstructionError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.scan import Canvas, Reconstruction, ScanData
from tests.fake_engine import FakeEngine


class SlowEngine(FakeEngine):
    """Reconstructs the phase ramp of its step number, trains one weight.

    Attributes:
        made: every engine so far.
        calls: arguments of each reconstruction and training.
        seconds_a_step: how long a step takes; a stop is looked for all the while.
        fails: with this, raised at the third step.
    """

    made: list[SlowEngine]
    seconds_a_step = 0.0
    fails: Exception | None = None

    def __init__(self, execution: ExecutionConfig) -> None:
        super().__init__(execution)
        self.calls: list[dict[str, Any]] = []
        type(self).made.append(self)

    def called(self, **arguments: object) -> None:
        self.calls.append(arguments)

    def seconds(self, step: int) -> float:
        return float(step)

    def steps_of_an_epoch(self, training: TrainingConfig) -> int:
        return training.steps_per_epoch

    def before_step(self, number: int, monitor: Monitor) -> None:
        end = time.monotonic() + self.seconds_a_step
        while True:
            if monitor.should_stop():
                raise Cancelled('stopped on request')
            if time.monotonic() >= end:
                break
            time.sleep(0.01)
        if self.fails is not None and number == 3:
            raise self.fails

    def result(
        self, scan: ScanData, inference: InferenceConfig, model: TrainedModel | None, step: int
    ) -> Reconstruction:
        shape = Canvas.for_scan(scan).shape
        return dataclasses.replace(
            super().result(scan, inference, model, step),
            object_canvas=np.full(shape, np.exp(1j * step), np.complex64),
            probe=(2 * scan.probe).astype(np.complex64),
            probe_refined=inference.update_probe == 'on',
        )


def failure() -> ReconstructionError:
    return ReconstructionError('the object is not finite')
