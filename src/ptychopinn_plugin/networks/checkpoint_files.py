"""Checkpoint files of a training: the last epoch's and those of the best, of either backend."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.networks.history import TrainingHistory

logger = logging.getLogger(__name__)

# Of the last epoch and of the best ones, as either backend names or named them.
_NAMES = re.compile(r'(last|best-\d{5})\.(ckpt|checkpoint|safetensors)')


def write_checkpoint(
    path: Path, write: Callable[[IO[bytes]], object], history: TrainingHistory, top: int
) -> None:
    """Write the last checkpoint, and keep those of the best epochs beside it.

    A file that cannot be written is logged as a warning and the training goes on: what it has
    learned is worth more than its checkpoint. The earlier checkpoint stays.

    Args:
        path: the last checkpoint; its folder is made where it is not there.
        write: writes the checkpoint to an open file.
        history: with the epoch that the checkpoint is of.
        top: how many of the best epochs keep a checkpoint of their own.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            write(file)
        _keep_best(path, history, top)
    except OutputError as error:
        logger.warning('%s; the training goes on without this checkpoint', error)
    except OSError as error:
        logger.warning('%s: %s; the training goes on', path.parent, error.strerror)


def _keep_best(last: Path, history: TrainingHistory, top: int) -> None:
    """Copy the last checkpoint if its epoch is among the best; remove those that are no longer."""
    kept = {f'best-{epoch:05d}{last.suffix}': epoch for epoch in history.rank_epochs()[:top]}
    for name, epoch in kept.items():
        if epoch == len(history.losses) - 1:
            with last.open('rb') as source, replacing(last.with_name(name)) as file:
                shutil.copyfileobj(source, file)
    for path in last.parent.glob(f'best-*{last.suffix}'):
        if path.name not in kept:
            path.unlink()


def prepare_folder(folder: Path, *, resume: bool) -> None:
    """Make the folder of a training.

    The checkpoints of an earlier training go into a dated folder below, unless it is resumed: old
    ones of the best epochs would otherwise stay among the new ones.

    Args:
        folder: of the training; it need not be there.
        resume: whether the training goes on from its last checkpoint.

    Raises:
        OutputError: it cannot be made, or the checkpoints cannot be moved.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'the folder {folder} cannot be made: {error.strerror}') from error
    if not resume:
        _set_aside_checkpoints(folder)


def _set_aside_checkpoints(folder: Path) -> None:
    """Move the checkpoints of an earlier training into a dated folder below theirs."""
    found = [path for path in folder.glob('*') if _NAMES.fullmatch(path.name)]
    if not found:
        return
    newest = datetime.fromtimestamp(max(path.stat().st_mtime for path in found))
    earlier = folder / f'earlier-{newest:%Y%m%d-%H%M%S}'
    try:
        earlier.mkdir(exist_ok=True)
        for path in found:
            path.replace(earlier / path.name)
    except OSError as error:
        raise OutputError(
            f'the checkpoints of an earlier training cannot be moved to {earlier}: '
            f'{error.strerror}; choose another name for the model'
        ) from error
    logger.info('The checkpoints of an earlier training are in %s now', earlier)
