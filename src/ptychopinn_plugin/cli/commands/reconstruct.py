"""`ptychopinn reconstruct`."""

from __future__ import annotations

from ptychopinn_plugin.cli.console import CommandMonitor, echo
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Reconstruct
from ptychopinn_plugin.cli.reconstruct_files import check_files, reconstruct_files
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.io.model_file import resolve_model
from ptychopinn_plugin.plotting.figure import heading


def run(flags: Reconstruct) -> None:
    """Reconstruct a scan, save the object and draw it."""
    check_files(flags)
    model = resolve_model(flags.model)
    with CommandMonitor(quiet=flags.quiet) as monitor, on_interrupt(monitor.request_stop):
        try:
            result = reconstruct_files(flags, model, None, monitor)
        except Cancelled as error:
            raise Cancelled('interrupted; nothing was written') from error
    echo(f'object: {flags.output}')
    echo(heading(result).replace('  ·  ', ', '))
    for remark in result.remarks:
        echo(f'found: {remark}')
    if result.warning:
        echo(f'warning: the object is probably wrong: {result.warning}')
    if flags.picture is not None:
        echo(f'picture: {flags.picture}')
