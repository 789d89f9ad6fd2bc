"""`ptychopinn demo`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

from ptychopinn_plugin.api import reconstruct, train
from ptychopinn_plugin.cli.commands.check import report_lines
from ptychopinn_plugin.cli.console import CommandMonitor, say
from ptychopinn_plugin.cli.errors import UsageError
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Demo
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, TrainingConfig
from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.contract.preflight import preflight
from ptychopinn_plugin.engines.protocol import Reconstruction
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.files import load_scan
from ptychopinn_plugin.metrics import scanned_core, score
from ptychopinn_plugin.model_file import TrainedModel, load_model, save_model
from ptychopinn_plugin.pictures import picture
from ptychopinn_plugin.results import save_reconstruction
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate

SCAN = SimulationConfig(rows=32, columns=32, object_kind='mixed', seed=1)
TRAINING = TrainingConfig(epochs=12, steps_per_epoch=25)
TRAINING_SECONDS = 45.0


def run(flags: Demo) -> None:
    """Go the whole way on a simulated scan."""
    folder = _folder(flags.output)
    execution = flags.execution()
    say(f'1. simulate a scan: {folder / "demo.npz"}')
    save_simulated(folder / 'demo.npz', simulate(SCAN))
    say('2. check it')
    scan = load_scan(folder / 'demo.npz')
    for line in report_lines(preflight(scan)):
        say(f'   {line}')
    truth = scan.object_guess
    assert truth is not None  # the simulator stores it
    # The reconstruction shall not know the object.
    scan = dataclasses.replace(scan, object_guess=np.ones_like(truth))
    say(f'3. train a small network on it: {folder / "model.safetensors"}')
    save_model(folder / 'model.safetensors', _train(scan, execution, quiet=flags.quiet))
    say(f'4. reconstruct: {folder / "object.h5"} for Ptychodus, {folder / "object.npz"}')
    model = load_model(folder / 'model.safetensors')
    result = _reconstruct(scan, model, execution, quiet=flags.quiet)
    save_reconstruction(folder / 'object.h5', result, scan)
    save_reconstruction(folder / 'object.npz', result, scan)
    say(f'5. draw it: {folder / "object.png"}')
    pixel_size = scan.metadata.pixel_size_m
    picture(result, folder / 'object.png', title='demo', pixel_size_m=pixel_size)
    say('6. compare it with the known object')
    for line in score_lines(result, scan, truth):
        say(f'   {line}')
    say(f'Done. Next: ptychopinn check YOUR-SCAN.npz; see also {folder / "object.png"}')


def score_lines(
    result: Reconstruction, scan: ScanData, truth: np.ndarray[tuple[int, ...], np.dtype]
) -> list[str]:
    """Return how well a result agrees with the truth, as lines for people."""
    rows, columns = scanned_core(scan.positions_px)
    inner = scanned_core(scan.positions_px, result.origin_px)
    found = score(result.object_canvas[inner], truth[rows, columns])
    return [
        f'reconstructed in {result.seconds:.1f} s by {result.backend}',
        f'relative error {found.nrmse:.4f} (0 is perfect)',
        f'similarity of the phase {found.phase_ssim:.3f}, of the amplitude '
        f'{found.amplitude_ssim:.3f} (1 is perfect)',
        f'resolved up to {found.frc_half:.0%} of the highest frequency '
        '(Fourier ring correlation above 0.5)',
    ]


class TimedMonitor(CommandMonitor):
    """A monitor that also stops the job when its time is up."""

    def __init__(self, seconds: float, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._end = time.monotonic() + seconds

    def should_stop(self) -> bool:
        """Say whether Ctrl-C was pressed or the time is up."""
        return super().should_stop() or time.monotonic() > self._end


def _train(scan: ScanData, execution: ExecutionConfig, *, quiet: bool) -> TrainedModel:
    with (
        TimedMonitor(TRAINING_SECONDS, quiet=quiet) as monitor,
        on_interrupt(monitor.request_stop),
    ):
        model = train(scan, training=TRAINING, execution=execution, monitor=monitor)
    if monitor.stopped:
        raise Cancelled('interrupted')
    return model


def _reconstruct(
    scan: ScanData, model: TrainedModel, execution: ExecutionConfig, *, quiet: bool
) -> Reconstruction:
    with CommandMonitor(quiet=quiet) as monitor, on_interrupt(monitor.request_stop):
        return reconstruct(
            scan, model=model, inference=InferenceConfig(), execution=execution, monitor=monitor
        )


def _folder(path: Path) -> Path:
    """Return a folder to write into, made if it is not there."""
    if path.exists() and not path.is_dir():
        raise UsageError(f'{path} is a file; name a folder for --output')
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f'the folder {path} cannot be made: {error.strerror}') from error
    return path
