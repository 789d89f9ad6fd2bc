"""Checkpoints of a PyTorch training, written by Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.networks.checkpoint_errors import (
    mismatched_checkpoint,
    missing_checkpoint,
    unreadable_checkpoint,
)
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.unrolled.dose_gate import GATE_NAME

CHECKPOINT_NAME = 'last.ckpt'


def checkpoint_callbacks(execution: ExecutionConfig, folder: Path | None) -> list[ModelCheckpoint]:
    """Return the callbacks that write the last checkpoint and those of the best epochs."""
    callbacks = [
        ModelCheckpoint(
            folder,
            filename=Path(CHECKPOINT_NAME).stem,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
    ]
    if execution.checkpoint_save_top_k:
        callbacks.append(
            ModelCheckpoint(
                folder,
                filename='best-{epoch:05d}',
                auto_insert_metric_name=False,
                monitor=execution.checkpoint_monitor_metric,
                save_top_k=execution.checkpoint_save_top_k,
                save_on_train_epoch_end=True,
            )
        )
    return callbacks


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


def find_checkpoint(folder: Path | None, network: nn.Module) -> Path:
    """Return the last checkpoint of a folder, with its shapes checked.

    Raises:
        CheckpointError: there is no checkpoint, or it does not fit the network.
    """
    path = None if folder is None else folder / CHECKPOINT_NAME
    if path is None or not path.is_file():
        raise missing_checkpoint(path)
    try:
        # On the CPU, whichever device it was written on.
        content = torch.load(path, map_location='cpu', weights_only=True)
        shapes = {
            name.removeprefix('network.'): tuple(value.shape)
            for name, value in content['state_dict'].items()
        }
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise unreadable_checkpoint(path, error) from error
    if shapes != {name: tuple(value.shape) for name, value in network.state_dict().items()}:
        raise mismatched_checkpoint(path)
    return path
