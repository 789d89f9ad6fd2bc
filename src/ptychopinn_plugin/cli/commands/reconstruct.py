"""`ptychopinn reconstruct`."""

from __future__ import annotations

import logging

from ptychopinn_plugin.api import reconstruct
from ptychopinn_plugin.cli.console import CommandMonitor, echo
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.cli.options import Reconstruct
from ptychopinn_plugin.cli.paths import check_distinct, check_exists, check_writable
from ptychopinn_plugin.cli.run_settings import inference_run
from ptychopinn_plugin.cli.scan_loading import load
from ptychopinn_plugin.config.architectures import ARCHITECTURES
from ptychopinn_plugin.config.model_names import MODEL_NAMES
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.io.formats import result_endings, scan_files
from ptychopinn_plugin.io.model_file import resolve_model
from ptychopinn_plugin.io.result_files import load_result, save_reconstruction
from ptychopinn_plugin.plotting import SUFFIXES as PICTURES
from ptychopinn_plugin.plotting import picture
from ptychopinn_plugin.plotting.figure import heading
from ptychopinn_plugin.scan import continue_from

logger = logging.getLogger(__name__)


def run(flags: Reconstruct) -> None:
    """Reconstruct a scan, save the object and draw it."""
    _check_files(flags)
    model = resolve_model(flags.model)
    earlier = load_result(flags.continue_from) if flags.continue_from else None
    settings = inference_run(flags, model)
    # Passes can estimate a probe; a network that reconstructs first needs one.
    comes_first = model and ARCHITECTURES[model.manifest.model.architecture].comes_first
    needs_probe = bool(comes_first) and earlier is None
    scan = load(flags.scan, flags, settings.orientation, needs_probe=needs_probe)
    inference = settings.inference
    if earlier is not None:
        scan = continue_from(scan, earlier, str(flags.continue_from))
        inference = inference.model_copy(update={'initial': 'product'})
    with CommandMonitor(quiet=flags.quiet) as monitor, on_interrupt(monitor.request_stop):
        try:
            result = reconstruct(
                scan,
                model=model,
                inference=inference,
                execution=settings.execution,
                monitor=monitor,
            )
        except Cancelled as error:
            raise Cancelled('interrupted; nothing was written') from error
    save_reconstruction(flags.output, result, scan)
    echo(f'object: {flags.output}')
    echo(heading(result).replace('  ·  ', ', '))
    for remark in result.remarks:
        echo(f'found: {remark}')
    if result.warning:
        echo(f'warning: the object is probably wrong: {result.warning}')
    if flags.picture is not None:
        picture(result, flags.picture, title=flags.output.name)
        echo(f'picture: {flags.picture}')


def _check_files(flags: Reconstruct) -> None:
    """Refuse names that will not do, before anything is computed."""
    model = None if str(flags.model) in MODEL_NAMES else flags.model
    inputs = [
        flags.scan,
        *filter(
            None,
            (
                model,
                flags.probe,
                flags.product,
                flags.background,
                flags.mask,
                flags.continue_from,
            ),
        ),
    ]
    check_writable(flags.output, result_endings())
    if flags.picture is not None:
        check_writable(flags.picture, PICTURES)
    for path in inputs:
        check_exists(path)
    check_distinct([flags.output, flags.picture], [*inputs, *scan_files(flags.scan, flags.product)])
