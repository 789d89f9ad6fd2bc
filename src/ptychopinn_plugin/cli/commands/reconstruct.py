"""`ptychopinn reconstruct`."""

from __future__ import annotations

from ptychopinn_plugin.api import Checkpointing
from ptychopinn_plugin.cli.console import CommandMonitor, echo
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Reconstruct
from ptychopinn_plugin.cli.reconstruct_files import check_files, reconstruct_files
from ptychopinn_plugin.errors import Cancelled, OutputError
from ptychopinn_plugin.io.model_file import resolve_model
from ptychopinn_plugin.networks.checkpointing import FILE_NAME
from ptychopinn_plugin.plotting.figure import heading


def run(flags: Reconstruct) -> None:
    """Reconstruct a scan, save the object and draw it."""
    check_files(flags)
    checkpoint = _checkpointing(flags)
    model = resolve_model(flags.model)
    with CommandMonitor(quiet=flags.quiet) as monitor, on_interrupt(monitor.request_stop):
        try:
            result = reconstruct_files(flags, model, None, monitor, checkpoint)
        except Cancelled as error:
            raise Cancelled(_what_is_kept(checkpoint)) from error
    echo(f'object: {flags.output}')
    echo(heading(result).replace('  ·  ', ', '))
    for remark in result.remarks:
        echo(f'found: {remark}')
    if result.warning:
        echo(f'warning: the object is probably wrong: {result.warning}')
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


def _what_is_kept(checkpoint: Checkpointing | None) -> str:
    """Return the sentence for a reconstruction that was interrupted."""
    if checkpoint is None or not checkpoint.path.exists():
        return 'interrupted; nothing was written'
    return f'interrupted; --resume goes on from {checkpoint.path}'
