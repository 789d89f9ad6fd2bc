"""Checkpoints of a PyTorch training, written by Lightning."""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from ptychopinn_plugin.networks.checkpoint_errors import (
    mismatched_checkpoint,
    missing_checkpoint,
    unreadable_checkpoint,
)
from ptychopinn_plugin.networks.checkpoint_files import write_checkpoint
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.unrolled.dose_gate import GATE_NAME

CHECKPOINT_NAME = 'last.ckpt'
# Of the history among the states of the callbacks: the name of its callback's class.
HISTORY = 'HistoryCallback'


class CheckpointEveryEpoch(Checkpoint):
    """Writes a checkpoint after every epoch, see `CheckpointFiles`.

    Args:
        folder: where to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the checkpoint; called on every device, of which the first one writes."""
        trainer.save_checkpoint(self.folder / CHECKPOINT_NAME)


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's checkpoint files, written as `write_checkpoint` does.

    Lightning writes them in the temporary folder first, and moves them from there.

    Args:
        history: of the training.
        top: how many of the best epochs keep a checkpoint of their own.
    """

    def __init__(self, history: TrainingHistory, top: int) -> None:
        super().__init__()
        self.history = history
        self.top = top

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Write a checkpoint; `storage_options` is not used."""
        write_checkpoint(
            Path(path), lambda file: torch.save(checkpoint, file), self.history, self.top
        )


def history_state(history: TrainingHistory) -> dict[str, Any]:
    """Return what a checkpoint keeps of a history: best weights, their loss, and all losses."""
    weights = {name: torch.tensor(value) for name, value in (history.weights or {}).items()}
    return {'weights': weights, 'best': history.best, 'losses': history.losses}


def restore_history(history: TrainingHistory, state: dict[str, Any]) -> None:
    """Set a history to the state of a checkpoint."""
    weights = {name: value.numpy() for name, value in state['weights'].items()}
    # Older checkpoints keep the gate beside the weights.
    if weights and state.get('trust') is not None:
        weights[GATE_NAME] = np.asarray(state['trust'], np.float32)
    history.weights = weights or None
    history.best = state['best']
    history.losses = [(float(loss), float(validation)) for loss, validation in state['losses']]


def _check_bytes(path: Path) -> None:
    """Compare the checksums in a checkpoint with its content, which PyTorch does not.

    Raises:
        ValueError: they differ.
        zipfile.BadZipFile: it is no file of PyTorch's.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f'{damaged} has been changed or damaged')


def find_checkpoint(folder: Path | None, network: nn.Module, history: TrainingHistory) -> Path:
    """Return the last checkpoint of a folder, with its shapes and its history checked.

    Args:
        folder: of the training.
        network: gives the shapes.
        history: that will be restored; it stays as it is.

    Raises:
        CheckpointError: there is no checkpoint, or it does not fit the network.
    """
    path = None if folder is None else folder / CHECKPOINT_NAME
    if path is None or not path.is_file():
        raise missing_checkpoint(path)
    try:
        _check_bytes(path)
        # On the CPU, whichever device it was written on.
        content = torch.load(path, map_location='cpu', weights_only=True)
        shapes = {
            name.removeprefix('network.'): tuple(value.shape)
            for name, value in content['state_dict'].items()
        }
        restore_history(copy.copy(history), content['callbacks'][HISTORY])
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise unreadable_checkpoint(path, error) from error
    if shapes != {name: tuple(value.shape) for name, value in network.state_dict().items()}:
        raise mismatched_checkpoint(path)
    return path
