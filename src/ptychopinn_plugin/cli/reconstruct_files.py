"""One reconstruction from its flags: read, reconstruct, save, draw."""

from __future__ import annotations

import dataclasses

from ptychopinn_plugin.api import Checkpointing, Engine, reconstruct
from ptychopinn_plugin.cli.options import Reconstruct
from ptychopinn_plugin.cli.paths import (
    check_distinct,
    check_exists,
    check_folder,
    check_writable,
)
from ptychopinn_plugin.cli.run_settings import inference_run
from ptychopinn_plugin.cli.scan_loading import files_beside, load
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config.architectures import ARCHITECTURES
from ptychopinn_plugin.config.model_names import MODEL_NAMES
from ptychopinn_plugin.config.used_settings import settings_lines
from ptychopinn_plugin.io.formats import result_endings, scan_files
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.io.result_files import load_result, save_reconstruction
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.checkpointing import FILE_NAME
from ptychopinn_plugin.plotting import SUFFIXES as PICTURES
from ptychopinn_plugin.plotting import picture
from ptychopinn_plugin.scan import Reconstruction, continue_from
from ptychopinn_plugin.settings import InferenceRun


def reconstruct_files(
    flags: Reconstruct,
    model: TrainedModel | None,
    engine: Engine | None,
    monitor: Monitor,
    checkpoint: Checkpointing | None = None,
    *,
    settings: InferenceRun | None = None,
    saves: bool = True,
) -> Reconstruction:
    """Reconstruct a scan, save the object and draw it.

    Args:
        flags: of the command; `check_files` has taken them.
        model: the one that the flags name, None without one.
        engine: of the backend and device of the flags; None makes one.
        monitor: receives each step and may request a stop.
        checkpoint: where the state of the reconstruction is kept; None where it is not.
        settings: of the flags, where they were resolved already.
        saves: False for a process that reconstructs a part of the scan.

    Raises:
        Cancelled: the monitor requested a stop; nothing was written.
        PtychoPINNError: the scan or its result has a fault.
    """
    earlier = load_result(flags.continue_from) if flags.continue_from else None
    settings = settings or inference_run(flags, model)
    # Passes can estimate a probe; a network that reconstructs first needs one.
    comes_first = model and ARCHITECTURES[model.manifest.model.architecture].comes_first
    needs_probe = bool(comes_first) and earlier is None
    scan = load(flags.scan, flags, settings.orientation, needs_probe=needs_probe)
    inference = settings.inference
    if earlier is not None:
        scan = continue_from(scan, earlier, str(flags.continue_from))
        inference = inference.model_copy(update={'initial': 'product'})
    result = reconstruct(
        scan,
        model=model,
        inference=inference,
        execution=None if engine else settings.execution,
        engine=engine,
        monitor=monitor,
        checkpoint=checkpoint,
    )
    used = (*result.settings, *settings_lines(settings.orientation))
    result = dataclasses.replace(result, settings=used)
    if not saves:
        return result
    save_reconstruction(flags.output, result, scan)
    if flags.picture is not None:
        picture(result, flags.picture, title=flags.output.name)
    return result


def check_files(flags: Reconstruct) -> None:
    """Refuse names that will not do, before anything is computed.

    Raises:
        UsageError: a file is missing, cannot be written, or is named twice; there is nothing to
            resume.
    """
    model = None if str(flags.model) in MODEL_NAMES else flags.model
    named = filter(None, (model, flags.continue_from))
    inputs = [flags.scan, *named, *files_beside(flags.scan, flags)]
    check_writable(flags.output, result_endings())
    if flags.picture is not None:
        check_writable(flags.picture, PICTURES)
    for path in inputs:
        check_exists(path)
    check_distinct([flags.output, flags.picture], [*inputs, *scan_files(flags.scan, flags.product)])
    _check_checkpoint(flags)


def _check_checkpoint(flags: Reconstruct) -> None:
    """Refuse a folder of checkpoints that will not do.

    Raises:
        UsageError: it cannot be made or written into, or there is nothing to resume.
    """
    if flags.checkpoint is not None:
        check_folder(flags.checkpoint)
        if flags.resume and not flags.checkpoint.exists():
            raise UsageError(
                f'there is no folder {flags.checkpoint} to resume from; leave --resume away'
            )
    elif flags.resume:
        raise UsageError('--resume needs the folder of the checkpoint, --checkpoint FOLDER')


def what_is_kept(flags: Reconstruct) -> str:
    """Return what a reconstruction leaves that ended before it was done."""
    path = flags.checkpoint and flags.checkpoint / FILE_NAME
    return f'--resume goes on from {path}' if path and path.exists() else 'nothing was written'
