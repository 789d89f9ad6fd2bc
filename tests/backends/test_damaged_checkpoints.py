"""Damaged checkpoints of trainings are refused with an error of this package, or are whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import Backend, ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import CheckpointError
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.learning_rate import unrolled_schedule
from tests.backends.test_checkpoints import WEIGHTS, empty_history, filled_history
from tests.conftest import shared_engine
from tests.helpers import make_scan

CASES = 60
SMALL = ModelConfig(width=4, levels=1, blocks=1)
SHORT = TrainingConfig(
    epochs=1, steps_per_epoch=1, validation_episodes=1, reference_passes=2, crop_frames=25
)


def write_and_reader(backend: Backend, folder: Path) -> tuple[Path, Callable[[], object]]:
    """Write a checkpoint; return its path, and a function that reads it and returns its content."""
    return (_pytorch if backend == 'pytorch' else _tensorflow)(folder)


def _pytorch(folder: Path) -> tuple[Path, Callable[[], object]]:
    import torch

    from ptychopinn_plugin.backends.pytorch import checkpoint

    network = torch.nn.Linear(40, 3)
    states = {f'network.{name}': value for name, value in network.state_dict().items()}
    path = folder / checkpoint.CHECKPOINT_NAME
    history = checkpoint.history_state(filled_history())
    torch.save({'state_dict': states, 'callbacks': {checkpoint.HISTORY: history}}, path)

    def read() -> object:
        checkpoint.find_checkpoint(folder, network, empty_history())
        content = torch.load(path, weights_only=True)
        arrays = [value.numpy().tolist() for value in content['state_dict'].values()]
        restored = empty_history()
        checkpoint.restore_history(restored, content['callbacks'][checkpoint.HISTORY])
        weights = {name: value.tolist() for name, value in (restored.weights or {}).items()}
        return arrays, restored.losses, restored.best, weights

    return path, read


def _tensorflow(folder: Path) -> tuple[Path, Callable[[], object]]:
    from ptychopinn_plugin.backends.tensorflow.checkpoint import (
        CHECKPOINT_NAME,
        load_checkpoint,
        save_checkpoint,
    )

    found: dict[str, Any] = {}
    network = SimpleNamespace(weights=lambda: dict(WEIGHTS), set_weights=found.update)
    schedule = unrolled_schedule(ExecutionConfig(), 10)
    training: Any = SimpleNamespace(
        network=network, schedule=schedule, optimizer=SimpleNamespace(variables=[])
    )
    save_checkpoint(folder, training, filled_history(), 0)

    def read() -> object:
        history = empty_history()
        load_checkpoint(folder, training, history)
        weights = {name: value.tolist() for name, value in (history.weights or {}).items()}
        arrays = {name: np.asarray(value).tolist() for name, value in found.items()}
        return history.losses, history.best, weights, arrays

    return folder / CHECKPOINT_NAME, read


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Return content with a bit flipped, cut short, with a part of zeros or a part repeated."""
    place, length = dice.randrange(len(content)), dice.choice((1, 8, 100))
    kind = dice.randrange(4)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + bytes(length) + content[place + length :]
    if kind == 2:
        return content[:place] + content[place : place + length] + content[place:]
    flipped = bytearray(content)
    flipped[place] ^= 1 << dice.randrange(8)
    return bytes(flipped)


def test_damage_never_passes_for_the_checkpoint(backend: Backend, tmp_path: Path) -> None:
    path, read = write_and_reader(backend, tmp_path)
    content, whole = path.read_bytes(), read()
    refused = 0
    for seed in range(CASES):
        path.write_bytes(damaged(content, random.Random(seed)))
        try:
            found = read()
        except CheckpointError:
            refused += 1
        else:
            # Some bytes mean nothing, such as padding.
            assert found == whole, seed
    assert refused > CASES / 2


@pytest.mark.parametrize('content', [b'', bytes(4000), b'PK\x03\x04', b'\x80\x04N.', b'text' * 99])
def test_other_files_are_refused(backend: Backend, tmp_path: Path, content: bytes) -> None:
    path, read = write_and_reader(backend, tmp_path)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match='cannot be resumed'):
        read()


@pytest.mark.pytorch
@pytest.mark.parametrize('part', ['optimizer_states', 'loops', 'callbacks'])
def test_one_without_a_part_of_the_training_is_refused(tmp_path: Path, part: str) -> None:
    import torch

    engine, scan = shared_engine('pytorch'), make_scan(side=6, frame_size=16, step_px=3.0)
    fit(engine, scan, tmp_path, resume=False)
    path = tmp_path / 'last.ckpt'
    content = torch.load(path, weights_only=True)
    content[part] = {'HistoryCallback': {}} if part == 'callbacks' else [3]
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r'last\.ckpt cannot be resumed'):
        fit(engine, scan, tmp_path, resume=True)


def fit(engine: Engine, scan: Any, folder: Path, *, resume: bool) -> None:
    engine.fit([scan], SMALL, SHORT, Monitor(), folder=folder, resume=resume)
