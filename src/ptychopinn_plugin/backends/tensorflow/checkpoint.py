"""Checkpoints of a TensorFlow training: one .safetensors file, to be resumed and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.networks import checkpoint_errors as checkpoints
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import LearningRateSchedule
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate
from ptychopinn_plugin.networks.weights import Weights

CHECKPOINT_NAME = 'last.safetensors'
_NETWORK, _BEST, _OPTIMIZER = 'network/', 'best/', 'optimizer/'


class Network(Protocol):
    """What a checkpoint needs of a network."""

    def weights(self) -> Weights:
        """Return copies of the weights."""

    def set_weights(self, weights: Weights) -> None:
        """Take over weights."""


class Training(Protocol):
    """What a checkpoint needs of a training; `optimizer` is one of Keras'."""

    schedule: LearningRateSchedule
    optimizer: Any

    @property
    def network(self) -> Network:
        """What is trained."""


def save_checkpoint(folder: Path, training: Training, record: TrainingHistory, top: int) -> None:
    """Write the state after an epoch, whole or not at all.

    Args:
        folder: where to.
        training: the state.
        record: the best state.
        top: of how many of the best epochs to keep a checkpoint of their own.
    """
    from safetensors.numpy import save_file

    tensors: dict[str, npt.NDArray[Any]] = {
        'losses': record.history(),
        **({} if record.trust is None else {'trust': record.trust.factor}),
        **{_NETWORK + name: value for name, value in training.network.weights().items()},
        **{_BEST + name: value for name, value in (record.weights or {}).items()},
        **{
            f'{_OPTIMIZER}{number}': np.atleast_1d(variable.numpy())
            for number, variable in enumerate(training.optimizer.variables)
        },
    }
    with replacing(folder / CHECKPOINT_NAME) as temporary:
        save_file(tensors, temporary, {'best': json.dumps(record.best)})
    _keep_best(folder, record, top)


def _keep_best(folder: Path, record: TrainingHistory, top: int) -> None:
    """Keep a copy of the last checkpoint if it is among the best, and forget those that are not."""
    kept = {f'best-{epoch:05d}.safetensors': epoch for epoch in record.best_epochs()[:top]}
    for name, epoch in kept.items():
        if epoch == len(record.losses) - 1:
            with replacing(folder / name) as temporary:
                shutil.copyfile(folder / CHECKPOINT_NAME, temporary)
    for path in folder.glob('best-*.safetensors'):
        if path.name not in kept:
            path.unlink()


def load_checkpoint(folder: Path | None, training: Training, record: TrainingHistory) -> int:
    """Take up the state of the last epoch.

    Returns:
        The epochs done.

    Raises:
        CheckpointError: there is no checkpoint, or it does not fit.
    """
    from safetensors import SafetensorError, safe_open

    path = None if folder is None else folder / CHECKPOINT_NAME
    if path is None or not path.is_file():
        raise checkpoints.missing(path)
    try:
        with safe_open(path, framework='numpy') as file:
            best = float(json.loads((file.metadata() or {})['best']))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        trust, losses = tensors.get('trust'), tensors['losses']
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise checkpoints.unreadable(path, error) from error
    network = _part(tensors, _NETWORK)
    needed = {name: value.shape for name, value in training.network.weights().items()}
    variables = training.optimizer.variables
    none = np.zeros(0)
    state = [tensors.get(f'{_OPTIMIZER}{number}', none) for number in range(len(variables))]
    if {name: value.shape for name, value in network.items()} != needed or any(
        value.size != np.size(variable.numpy())
        for value, variable in zip(state, variables, strict=True)
    ):
        raise checkpoints.of_another_shape(path)
    training.network.set_weights(network)
    for value, variable in zip(state, variables, strict=True):
        variable.assign(np.reshape(value, variable.shape))
    record.weights, record.best = _part(tensors, _BEST) or None, best
    record.trust = None if trust is None else DoseGate(trust)
    record.losses = [(float(loss), float(validation)) for loss, validation in losses]
    for _, validation in record.losses:
        training.schedule.end_epoch(validation)
    return len(losses)


def _part(tensors: dict[str, npt.NDArray[Any]], prefix: str) -> Weights:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
