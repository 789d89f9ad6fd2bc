"""`ptychopinn reconstruct`."""

from __future__ import annotations

import sys

from ptychopinn_plugin.api import Checkpointing
from ptychopinn_plugin.backends.ranks import ProcessRank
from ptychopinn_plugin.cli.console import CommandMonitor, echo, echo_json
from ptychopinn_plugin.cli.device_processes import run_in_processes, silent_beside
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Reconstruct
from ptychopinn_plugin.cli.reconstruct_files import check_files, reconstruct_files, what_is_kept
from ptychopinn_plugin.cli.result_record import result_json
from ptychopinn_plugin.cli.run_settings import inference_run
from ptychopinn_plugin.cli.sentences import finding_lines
from ptychopinn_plugin.errors import Cancelled, OutputError, ProcessLostError
from ptychopinn_plugin.io.model_file import TrainedModel, resolve_model
from ptychopinn_plugin.networks.checkpointing import FILE_NAME
from ptychopinn_plugin.plotting.figure import heading
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.settings import InferenceRun


def run(flags: Reconstruct) -> None:
    """Reconstruct a scan, save the object and draw it.

    As one of several processes that torchrun or srun started, together with the others; with
    `--devices` in processes of this machine.
    """
    place = ProcessRank.of_environment()
    if place.size > 1:
        run_part(flags.model_copy(update={'devices': place.size}))
        return
    check_files(flags)
    model = resolve_model(flags.model)
    devices, settings = 1, None
    if 'devices' in flags.model_fields_set:
        devices = flags.execution().devices
    elif flags.config is not None:
        settings = inference_run(flags, model)
        devices = settings.execution.devices
    if devices == 1:
        _run(flags, model, settings)
        return
    code = run_in_processes(run_part, flags, devices)
    if code:
        sys.exit(code)


def run_part(flags: Reconstruct) -> None:
    """Reconstruct a scan together with other processes; the first one saves and prints."""
    place = ProcessRank.of_environment()
    with silent_beside(place):
        check_files(flags)
        _run(flags.model_copy(update={'quiet': flags.quiet or place.rank > 0}), None)


def _run(
    flags: Reconstruct, model: TrainedModel | None, settings: InferenceRun | None = None
) -> None:
    """Reconstruct a scan in this process, save the object and draw it."""
    checkpoint = _checkpointing(flags)
    model = model or resolve_model(flags.model)
    saves = ProcessRank.of_environment().rank == 0
    with CommandMonitor(quiet=flags.quiet) as monitor, on_interrupt(monitor.request_stop):
        try:
            result = reconstruct_files(
                flags, model, None, monitor, checkpoint, settings=settings, saves=saves
            )
        except (Cancelled, ProcessLostError) as error:
            kept = what_is_kept(flags)
            if isinstance(error, ProcessLostError) and not monitor.stopped:
                raise ProcessLostError(f'{error}; {kept}') from error
            raise Cancelled(f'interrupted; {kept}') from error
    if saves:
        _print_summary(flags, result)


def _print_summary(flags: Reconstruct, result: Reconstruction) -> None:
    """Print what was computed, as sentences or as JSON."""
    if flags.as_json:
        files = {'object': str(flags.output)}
        if flags.picture is not None:
            files['picture'] = str(flags.picture)
        echo_json(result_json(result, files))
        return
    echo(f'object: {flags.output}')
    echo(heading(result).replace('  ·  ', ', '))
    for line in finding_lines(result):
        echo(line)
    if flags.picture is not None:
        echo(f'picture: {flags.picture}')


def _checkpointing(flags: Reconstruct) -> Checkpointing | None:
    """Return where the state is kept, its folder made; None without such a folder.

    Raises:
        OutputError: the folder cannot be made.
    """
    folder = flags.checkpoint
    if folder is None:
        return None
    try:
        # At once: a reconstruction that is killed before its first checkpoint can be resumed too.
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'the folder {folder} cannot be made: {error.strerror}') from error
    return Checkpointing(folder / FILE_NAME, flags.checkpoint_seconds, flags.resume)
