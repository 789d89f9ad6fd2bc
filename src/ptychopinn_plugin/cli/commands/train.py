"""`ptychopinn train`."""

from __future__ import annotations

import logging
from pathlib import Path

from ptychopinn_plugin.api import train
from ptychopinn_plugin.cli.console import CommandMonitor, echo
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Train
from ptychopinn_plugin.cli.options.common import NAME
from ptychopinn_plugin.cli.paths import check_distinct, check_exists, check_folder, check_writable
from ptychopinn_plugin.cli.run_settings import training_run
from ptychopinn_plugin.cli.scan_loading import load
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.io.model_file import load_model, save_trained_model
from ptychopinn_plugin.plotting import SUFFIXES
from ptychopinn_plugin.plotting.training_figure import training_picture, training_picture_path

logger = logging.getLogger(__name__)


def run(flags: Train) -> None:
    """Train a network and save it; after Ctrl-C the best so far."""
    check_writable(flags.model, ('.safetensors',))
    report = training_picture_path(flags.model)
    check_writable(report, SUFFIXES)
    read = [*flags.scan, *([flags.initial_model] if flags.initial_model else [])]
    check_distinct([flags.model, report], [check_exists(path) for path in read])
    if len(flags.scan) > 1 and flags.product is not None:
        raise UsageError('--product belongs to one scan; name several scans by their folders')
    if len(flags.scan) > 1 and flags.positions is not None and NAME not in flags.positions:
        raise UsageError(
            f'--positions belongs to one scan; with several, {NAME} in it stands for the name of '
            f'each, as in positions/{NAME}.csv'
        )
    folder = _training_folder(flags)
    initial = None if flags.initial_model is None else load_model(flags.initial_model)
    settings = training_run(flags, initial)
    scans = [load(path, flags, settings.orientation, true_patches=True) for path in flags.scan]
    with CommandMonitor(quiet=flags.quiet) as monitor, on_interrupt(monitor.request_stop):
        try:
            model = train(
                scans,
                model=settings.model,
                training=settings.training,
                execution=settings.execution,
                monitor=monitor,
                folder=folder,
                resume=flags.resume,
                initial_model=initial,
            )
        except Cancelled as error:
            raise Cancelled('interrupted before there was a model to save') from error
    save_trained_model(flags.model, model)
    echo(f'model: {flags.model}')
    training_picture(model, report, title=flags.model.name)
    echo(f'picture: {report}')
    if monitor.stopped:
        raise Cancelled('interrupted; the best model so far was saved')


def _training_folder(flags: Train) -> Path:
    """Return the folder beside the model for logs and checkpoints.

    Raises:
        UsageError: it cannot be made or written into, or there is nothing to resume.
    """
    folder = flags.model.with_name(f'{flags.model.stem}-training')
    check_folder(folder)
    if flags.resume and not folder.exists():
        raise UsageError(f'there is no {folder} to resume from; leave --resume away')
    return folder
