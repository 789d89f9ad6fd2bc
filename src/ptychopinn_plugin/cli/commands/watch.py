"""`ptychopinn watch`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

from ptychopinn_plugin.cli.console import CommandMonitor, echo
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Watch
from ptychopinn_plugin.cli.paths import check_distinct, check_exists, check_writable
from ptychopinn_plugin.cli.run_settings import watch_run
from ptychopinn_plugin.cli.sentences import finding_lines
from ptychopinn_plugin.config.model_names import MODEL_NAMES
from ptychopinn_plugin.errors import Cancelled, OutputError, ReconstructionError, ScanDataError
from ptychopinn_plugin.io.formats import result_endings
from ptychopinn_plugin.io.growing_frames import FramesOfDataset, FramesOfFolder, GrowingFrames
from ptychopinn_plugin.io.growing_positions import open_positions
from ptychopinn_plugin.io.growing_sources import GrowingRows
from ptychopinn_plugin.io.mask_file import read_mask_file
from ptychopinn_plugin.io.model_file import resolve_model
from ptychopinn_plugin.io.npz_arrays import given_probe
from ptychopinn_plugin.io.numbered_files import NumberedFiles
from ptychopinn_plugin.io.result_files import save_reconstruction
from ptychopinn_plugin.io.scan_files import load_probe
from ptychopinn_plugin.io.separate_frames import USUAL_DATASETS, split_name
from ptychopinn_plugin.live import LiveReconstruction
from ptychopinn_plugin.live.starting_scan import starting_scan
from ptychopinn_plugin.live.watcher import Watcher
from ptychopinn_plugin.plotting import SUFFIXES as PICTURES
from ptychopinn_plugin.plotting import picture
from ptychopinn_plugin.plotting.figure import heading
from ptychopinn_plugin.scan import Reconstruction, ScanData, ScanMetadata
from ptychopinn_plugin.settings import InferenceRun

logger = logging.getLogger(__name__)

METRES = {'m': 1.0, 'mm': 1e-3, 'um': 1e-6, 'nm': 1e-9}
HDF5_ENDINGS = ('.h5', '.hdf5', '.nxs', '.cxi')


def run(flags: Watch) -> None:
    """Follow a scan, write what it shows now and then, and reconstruct it at its end."""
    _check(flags)
    model = resolve_model(flags.model)
    size = flags.pixel_size_m
    geometry = ScanMetadata(pixel_size_m=None if size is None else (size, size))
    mask = None if flags.mask is None else read_mask_file(flags.mask)
    probe = given_probe(load_probe(flags.probe, external_files=flags.external_files), [])
    start = starting_scan(probe, geometry, mask)
    settings = watch_run(flags, start, model)
    live = LiveReconstruction(
        start.probe,
        geometry,
        mask=mask,
        execution=settings.execution,
        inference=settings.inference,
        model=model,
        memory_limit=flags.memory_limit * 2**20,
    )
    output = _Output(flags, live)
    with live:
        with ThreadPoolExecutor(1, 'live results') as writer:
            fault = _follow(flags, settings, live, _InTurn(writer, output.write_live))
        output.write_live()
        _finish(live, output, fault)


def _follow(
    flags: Watch, settings: InferenceRun, live: LiveReconstruction, show: Callable[[], None]
) -> str:
    """Follow the scan until its end; return what is wrong with it, '' where nothing is."""
    stop = threading.Event()
    watcher = Watcher(
        live,
        _frames(flags),
        open_positions(flags.positions),
        show=show,
        should_stop=stop.is_set,
        to_px=_to_px(flags),
        orientation=settings.orientation,
        every_s=flags.every,
        idle_s=flags.idle,
        expected=flags.expected,
    )
    with on_interrupt(stop.set):
        reason, fault = watcher.follow()
    logger.info('the scan ended, as %s: %d frames', reason, live.frame_count)
    if live.waiting_frames or live.waiting_positions:
        logger.warning(
            '%d frames have no position, %d positions have no frame; they were left out',
            live.waiting_frames,
            live.waiting_positions,
        )
    return fault


def _finish(live: LiveReconstruction, output: _Output, fault: str) -> None:
    """Reconstruct all frames and write the result.

    Raises:
        ScanDataError: there were no frames, or what ended the scan was a fault.
        Cancelled: interrupted once more; the result so far stays.
    """
    if fault and live.frame_count < 2:
        raise ScanDataError([fault])
    with CommandMonitor(quiet=output.flags.quiet) as monitor, on_interrupt(monitor.request_stop):
        try:
            result = live.finish(monitor)
        except Cancelled as error:
            raise Cancelled(
                f'interrupted; {output.flags.output} has the result of the live passes'
            ) from error
    output.write(result, live.scan())
    echo(f'object: {output.flags.output}')
    echo(heading(result).replace('  ·  ', ', '))
    for line in finding_lines(result):
        echo(line)
    if fault:
        raise ScanDataError([f'{fault}; the result has the {live.frame_count} frames before'])


@dataclass(eq=False)
class _InTurn:
    """Calls a function in a thread, so that frames are read meanwhile; one call at a time."""

    thread: Executor
    function: Callable[[], None]
    _last: Future[None] | None = None

    def __call__(self) -> None:
        """Call the function, unless the last call still runs; raise the error of that one."""
        if self._last is None or self._last.done():
            if self._last is not None:
                self._last.result()
            self._last = self.thread.submit(self.function)


@dataclass(eq=False)
class _Output:
    """Writes results and pictures, each whole or not at all."""

    flags: Watch
    live: LiveReconstruction
    _shown: tuple[int, int] = (0, 0)

    def write_live(self) -> None:
        """Write the result of the frames so far, unless it was written before."""
        try:
            result = self.live.current()
            if result is None:
                return
            state = (len(result.positions_px), len(result.residual))
            if state == self._shown:
                return
            self.write(result, self.live.outline(len(result.positions_px)))
            self._shown = state
        except (OutputError, ReconstructionError) as error:
            # The scan goes on: its frames are reconstructed at the end.
            logger.warning('%s', error)
            return
        logger.info(
            '%d frames, %d of them in the picture, residual %.3g',
            self.live.frame_count,
            len(result.positions_px),
            result.residual[-1],
        )

    def write(self, result: Reconstruction, scan: ScanData) -> None:
        """Write a result and its picture."""
        save_reconstruction(self.flags.output, result, scan)
        if self.flags.picture is not None:
            picture(result, self.flags.picture, title=self.flags.output.name)


def _check(flags: Watch) -> None:
    """Refuse names that will not do, before anything is waited for.

    Raises:
        UsageError: a file is missing, cannot be written, or is named twice.
    """
    named = (None if str(flags.model) in MODEL_NAMES else flags.model, flags.probe, flags.mask)
    inputs = [path for path in named if path is not None]
    check_writable(flags.output, result_endings())
    if flags.picture is not None:
        check_writable(flags.picture, PICTURES)
    for path in inputs:
        check_exists(path)
    positions, _ = split_name(flags.positions)
    check_distinct([flags.output, flags.picture], [*inputs, flags.scan, positions])


def _to_px(flags: Watch) -> float:
    """Return the object pixels of a unit of the positions."""
    if flags.unit == 'px' or flags.pixel_size_m is None:
        return 1.0
    return METRES[flags.unit] / flags.pixel_size_m


def _frames(flags: Watch) -> GrowingFrames:
    """Return where the frames appear: a folder, or a file by its ending."""
    names = USUAL_DATASETS if flags.dataset is None else (flags.dataset,)
    if flags.scan.suffix.lower() in HDF5_ENDINGS and not flags.scan.is_dir():
        return FramesOfDataset(GrowingRows(flags.scan, names, flags.external_files))
    files = NumberedFiles(flags.scan, flags.external_files)
    return FramesOfFolder(files, flags.frames_per_file, flags.first_number, names)
