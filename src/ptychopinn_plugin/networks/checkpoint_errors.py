"""What is wrong with a checkpoint, said alike by every backend."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.errors import CheckpointError


def missing(path: Path | None) -> CheckpointError:
    """Return the error where there is nothing to resume."""
    return CheckpointError(
        f'there is no checkpoint {path} to resume; leave --resume away to start anew'
    )


def unreadable(path: Path, error: Exception) -> CheckpointError:
    """Return the error for a file that is no checkpoint."""
    return CheckpointError(
        f'{path} cannot be resumed ({type(error).__name__}: {error}); '
        'leave --resume away to start anew'
    )


def of_another_shape(path: Path) -> CheckpointError:
    """Return the error for a checkpoint of another network."""
    return CheckpointError(
        f'{path} holds a network of another shape; resume with the same settings of the model, '
        'as --width, --levels and --gridsize, or leave --resume away to start anew'
    )
