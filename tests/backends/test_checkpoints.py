"""Checkpoints of both backends restore a history, also those that keep the gate by itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
import pytest

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks import checkpoint_files
from ptychopinn_plugin.networks.checkpoint_files import prepare_folder, write_checkpoint
from ptychopinn_plugin.networks.history import TrainingHistory
from ptychopinn_plugin.networks.learning_rate import unrolled_schedule
from ptychopinn_plugin.networks.model_manifest import build_manifest
from ptychopinn_plugin.networks.unrolled.dose_gate import GATE_NAME, DoseGate, join_gate
from tests.helpers import make_scan

GATE = DoseGate(np.linspace(0, 1, 8, dtype=np.float32))
WEIGHTS = {'inlet.bias': np.arange(3, dtype=np.float32)}
LOSSES = [(0.5, 0.6), (0.4, 0.7)]


def empty_history() -> TrainingHistory:
    scan = make_scan(side=3, frame_size=16)
    manifest = build_manifest(ExecutionConfig(), ModelConfig(), TrainingConfig(), [scan])
    return TrainingHistory(Monitor(), manifest, scan.probe)


def filled_history() -> TrainingHistory:
    history = empty_history()
    history.weights, history.best, history.losses = join_gate(WEIGHTS, GATE), 0.6, list(LOSSES)
    return history


def check(history: TrainingHistory) -> None:
    assert history.losses == LOSSES
    assert history.best == 0.6
    assert history.weights is not None
    assert set(history.weights) == {*WEIGHTS, GATE_NAME}
    np.testing.assert_array_equal(history.weights[GATE_NAME], GATE.factor)
    np.testing.assert_array_equal(history.weights['inlet.bias'], WEIGHTS['inlet.bias'])


@pytest.mark.pytorch
def test_pytorch_restores_a_history() -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.checkpoint import history_state, restore_history

    history = empty_history()
    restore_history(history, history_state(filled_history()))
    check(history)
    older: dict[str, Any] = {
        'weights': {name: torch.tensor(value) for name, value in WEIGHTS.items()},
        'trust': GATE.factor.tolist(),
        'best': 0.6,
        'losses': LOSSES,
    }
    history = empty_history()
    restore_history(history, older)
    check(history)


@pytest.mark.tensorflow
def test_tensorflow_restores_a_history(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    from ptychopinn_plugin.backends.tensorflow.checkpoint import (
        CHECKPOINT_NAME,
        OLDER_NAME,
        load_checkpoint,
        save_checkpoint,
    )

    network = SimpleNamespace(weights=lambda: dict(WEIGHTS), set_weights=lambda weights: None)
    schedule = unrolled_schedule(ExecutionConfig(), 10)
    training: Any = SimpleNamespace(
        network=network, schedule=schedule, optimizer=SimpleNamespace(variables=[])
    )
    save_checkpoint(tmp_path, training, filled_history(), 0)
    history = empty_history()
    assert load_checkpoint(tmp_path, training, history) == 2
    check(history)

    # No dialog that opens models offers one.
    assert not list(tmp_path.glob('*.safetensors'))
    tensors = load_file(tmp_path / CHECKPOINT_NAME)
    tensors['trust'] = tensors.pop(f'best/{GATE_NAME}')
    (tmp_path / CHECKPOINT_NAME).unlink()
    save_file(tensors, tmp_path / OLDER_NAME, {'best': '0.6'})
    history = empty_history()
    load_checkpoint(tmp_path, training, history)
    check(history)


def write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def test_the_best_epochs_keep_a_checkpoint(tmp_path: Path) -> None:
    # Of an earlier training that was killed.
    (tmp_path / 'best-00009.ckpt').write_bytes(b'old')
    history, last = empty_history(), tmp_path / 'last.ckpt'
    for content, loss in [(b'0', 0.5), (b'1', 0.3), (b'2', 0.4)]:
        history.losses.append((loss, loss))
        write_checkpoint(last, partial(write, content), history, 2)
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {'last.ckpt': b'2', 'best-00001.ckpt': b'1', 'best-00002.ckpt': b'2'}


def test_a_checkpoint_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: IO[bytes]) -> None:
        raise OSError(28, 'No space left on device')

    warnings: list[str] = []
    monkeypatch.setattr(
        checkpoint_files.logger, 'warning', lambda text, *values: warnings.append(text % values)
    )
    history, last = filled_history(), tmp_path / 'folder' / 'last.ckpt'
    write_checkpoint(last, partial(write, b'first'), history, 0)
    assert warnings == []
    write_checkpoint(last, full_disk, history, 1)
    assert warnings == [
        f'{last} cannot be written: No space left on device; the training goes on without this '
        'checkpoint'
    ]
    assert [path.name for path in last.parent.iterdir()] == ['last.ckpt']
    assert last.read_bytes() == b'first'


def test_checkpoints_of_an_earlier_training_are_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / 'a' / 'm-training'
    prepare_folder(folder, resume=False)
    for name in ('last.ckpt', 'best-00017.safetensors', 'metrics.csv', 'best-of-all.ckpt'):
        (folder / name).touch()
    prepare_folder(folder, resume=True)
    assert (folder / 'last.ckpt').exists()
    prepare_folder(folder, resume=False)
    (earlier,) = folder.glob('earlier-*')
    assert {path.name for path in earlier.iterdir()} == {'last.ckpt', 'best-00017.safetensors'}
    assert (folder / 'metrics.csv').exists()
    assert (folder / 'best-of-all.ckpt').exists()
