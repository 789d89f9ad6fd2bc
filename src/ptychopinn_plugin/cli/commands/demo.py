"""`ptychopinn demo`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

from ptychopinn_plugin.api import reconstruct, train
from ptychopinn_plugin.cli.commands.check import report_lines
from ptychopinn_plugin.cli.console import CommandMonitor, echo
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Demo
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.io.model_file import TrainedModel, load_model, packaged_model, save_model
from ptychopinn_plugin.io.result_files import save_reconstruction
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.monitor import Progress
from ptychopinn_plugin.plotting import picture
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.scan.preflight import preflight
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate

# So few photons that a network helps.
SCAN = SimulationConfig(rows=32, columns=32, object_kind='polygons', seed=1, photons_per_frame=2e3)
TRAINING = TrainingConfig(epochs=4, steps_per_epoch=12, crop_frames=144, validation_episodes=6)
TRAINING_SECONDS = 45.0


def run(flags: Demo) -> None:
    """Go the whole way on a simulated scan."""
    folder = _folder(flags.output)
    execution = flags.execution()
    echo(f'1. simulate a scan: {folder / "demo.npz"}')
    save_simulated(folder / 'demo.npz', simulate(SCAN))
    echo('2. check it')
    scan = load_scan(folder / 'demo.npz')
    for line in report_lines(preflight(scan)):
        echo(f'   {line}')
    ground_truth = scan.object_guess
    assert ground_truth is not None  # the simulator stores it
    # The reconstruction must not start from the object.
    scan = dataclasses.replace(scan, object_guess=np.ones_like(ground_truth))
    echo(f'3. train the network of the package further on it: {folder / "model.safetensors"}')
    save_model(folder / 'model.safetensors', _train(scan, execution, quiet=flags.quiet))
    echo(f'4. reconstruct: {folder / "object.h5"} for Ptychodus, {folder / "object.npz"}')
    model = load_model(folder / 'model.safetensors')
    alone = _reconstruct(scan, None, execution, quiet=flags.quiet)
    own = _reconstruct(scan, model, execution, quiet=flags.quiet)
    result = _reconstruct(scan, packaged_model(), execution, quiet=flags.quiet)
    save_reconstruction(folder / 'object.h5', result, scan)
    save_reconstruction(folder / 'object.npz', result, scan)
    echo(f'5. draw it: {folder / "object.png"}')
    picture(result, folder / 'object.png', title='demo')
    echo('6. compare with the known object (error 0 and similarity 1 are perfect)')
    rows = (('physics alone', alone), ('trained further', own), ('of the package', result))
    for name, each in rows:
        echo(f'   {name:<17}{score_line(each, scan, ground_truth)}')
    echo(f'Done. Next: ptychopinn check YOUR-SCAN.npz; see also {folder / "object.png"}')


def score_line(
    result: Reconstruction, scan: ScanData, ground_truth: np.ndarray[tuple[int, ...], np.dtype]
) -> str:
    """Return how well a result agrees with the ground truth, as a line for people."""
    rows, columns = scanned_core(scan.positions_px)
    inner = scanned_core(scan.positions_px, result.origin_px)
    found = score(result.object_canvas[inner], ground_truth[rows, columns])
    return (
        f'relative error {found.nrmse:.4f}, similarity of the phase {found.phase_ssim:.3f}, '
        f'of the amplitude {found.amplitude_ssim:.3f}; {result.seconds:.1f} s'
    )


class TimedMonitor(CommandMonitor):
    """A monitor that also stops a training when its time is up and there is a model."""

    def __init__(self, seconds: float, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._end = time.monotonic() + seconds
        self._has_model = False

    def on_progress(self, progress: Progress) -> None:
        """Show one step; a validation is the sign of a model that can be kept."""
        self._has_model = self._has_model or progress.validation_loss is not None
        super().on_progress(progress)

    def should_stop(self) -> bool:
        """Say whether Ctrl-C was pressed or the time is up."""
        return super().should_stop() or (self._has_model and time.monotonic() > self._end)


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
    scan: ScanData, model: TrainedModel | None, execution: ExecutionConfig, *, quiet: bool
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
