"""Checkpoints of both backends restore a history, also those that keep the gate by itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
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

    tensors = load_file(tmp_path / CHECKPOINT_NAME)
    tensors['trust'] = tensors.pop(f'best/{GATE_NAME}')
    save_file(tensors, tmp_path / CHECKPOINT_NAME, {'best': '0.6'})
    history = empty_history()
    load_checkpoint(tmp_path, training, history)
    check(history)
