"""Checkpoints of a TensorFlow training: one file each, in the format safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.io.model_file.tensors import checksum
from ptychopinn_plugin.networks.checkpoint_errors import (
    mismatched_checkpoint,
    missing_checkpoint,
    unreadable_checkpoint,
)
from ptychopinn_plugin.networks.checkpoint_files import write_checkpoint
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.unrolled.dose_gate import GATE_NAME
from ptychopinn_plugin.networks.weight_arrays import Weights

# Not .safetensors: a dialog that opens models would list them.
SUFFIX = '.checkpoint'
CHECKPOINT_NAME = f'last{SUFFIX}'
OLDER_NAME = 'last.safetensors'
_NETWORK, _BEST, _OPTIMIZER = 'network/', 'best/', 'optimizer/'


class Network(Protocol):
    """A network whose weights a checkpoint keeps."""

    def weights(self) -> Weights:
        """Return copies of the weights."""

    def set_weights(self, weights: Weights) -> None:
        """Set the weights."""


class TrainingState(Protocol):
    """State of a training that a checkpoint keeps; `optimizer` is one of Keras'."""

    schedule: LearningRateSchedule
    optimizer: Any

    @property
    def network(self) -> Network:
        """The trained network."""


def save_checkpoint(
    folder: Path, training: TrainingState, history: TrainingHistory, top: int
) -> None:
    """Write the state after an epoch, see `write_checkpoint`.

    Args:
        folder: where to.
        training: the state.
        history: losses and best weights.
        top: how many of the best epochs keep a checkpoint of their own.
    """
    from safetensors.numpy import save

    tensors: dict[str, npt.NDArray[Any]] = {
        'losses': history.loss_array(),
        **{_NETWORK + name: value for name, value in training.network.weights().items()},
        **{_BEST + name: value for name, value in (history.weights or {}).items()},
        **{
            f'{_OPTIMIZER}{number}': np.atleast_1d(variable.numpy())
            for number, variable in enumerate(training.optimizer.variables)
        },
    }
    best = json.dumps(history.best)
    content = save(tensors, {'best': best, 'checksum': checksum(tensors, best)})
    write_checkpoint(folder / CHECKPOINT_NAME, lambda file: file.write(content), history, top)


def load_checkpoint(folder: Path | None, training: TrainingState, history: TrainingHistory) -> int:
    """Restore the state of the last epoch.

    Returns:
        The epochs done.

    Raises:
        CheckpointError: there is no checkpoint, or it does not fit.
    """
    path = None if folder is None else folder / CHECKPOINT_NAME
    if folder is not None and path is not None and not path.is_file():
        older = folder / OLDER_NAME
        path = older if older.is_file() else path
    if path is None or not path.is_file():
        raise missing_checkpoint(path)
    try:
        tensors, best = _read(path)
        losses = tensors['losses']
        history_losses = [(float(loss), float(validation)) for loss, validation in losses]
    except Exception as error:  # safetensors raises whatever the bytes lead it to
        raise unreadable_checkpoint(path, error) from error
    network = _select(tensors, _NETWORK)
    expected = {name: value.shape for name, value in training.network.weights().items()}
    variables = training.optimizer.variables
    none = np.zeros(0)
    state = [tensors.get(f'{_OPTIMIZER}{number}', none) for number in range(len(variables))]
    if {name: value.shape for name, value in network.items()} != expected or any(
        value.size != np.size(variable.numpy())
        for value, variable in zip(state, variables, strict=True)
    ):
        raise mismatched_checkpoint(path)
    training.network.set_weights(network)
    for value, variable in zip(state, variables, strict=True):
        variable.assign(np.reshape(value, variable.shape))
    weights = _select(tensors, _BEST)
    # Older checkpoints keep the gate beside the weights.
    if weights and 'trust' in tensors:
        weights[GATE_NAME] = tensors['trust']
    history.weights, history.best = weights or None, best
    history.losses = history_losses
    # The state of the schedule follows from the losses, so no checkpoint holds it.
    for _, validation_loss in history.losses:
        training.schedule.end_epoch(validation_loss)
    return len(losses)


def _read(path: Path) -> tuple[dict[str, npt.NDArray[Any]], float]:
    """Return the arrays of a checkpoint and the loss of its best epoch.

    Raises:
        Exception: it is none, or has been changed or damaged.
    """
    from safetensors import safe_open

    with safe_open(path, framework='numpy') as file:
        metadata = file.metadata() or {}
        names = file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
    # Older checkpoints have none.
    if 'checksum' in metadata and metadata['checksum'] != checksum(tensors, metadata['best']):
        raise ValueError('it has been changed or damaged: its checksum does not agree')
    return tensors, float(json.loads(metadata['best']))


def _select(tensors: dict[str, npt.NDArray[Any]], prefix: str) -> Weights:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
