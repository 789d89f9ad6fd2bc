"""Errors of checkpoints, with the same messages in every backend."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.errors import CheckpointError
from ptychopinn_plugin.io.reading_errors import describe


def missing_checkpoint(path: Path | None) -> CheckpointError:
    """Return the error for a training that has nothing to resume."""
    return CheckpointError(
        f'there is no checkpoint {path} to resume; leave resume away to start anew'
    )


def unreadable_checkpoint(path: Path, error: Exception) -> CheckpointError:
    """Return the error for a file that is no checkpoint."""
    return CheckpointError(
        f'{path} cannot be resumed ({describe(error)}); leave resume away to start anew'
    )


def mismatched_checkpoint(path: Path) -> CheckpointError:
    """Return the error for a checkpoint whose arrays have other names or shapes."""
    return CheckpointError(
        f'{path} holds a network of another shape; resume with the same settings of the model, '
        'as width, levels and gridsize, or leave resume away to start anew'
    )
