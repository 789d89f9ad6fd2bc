"""Training on several devices, in Lightning's distributed data parallelism, on CPUs with gloo."""

from __future__ import annotations

import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.api import train
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.io.model_file import TrainedModel, load_model, save_model
from tests.helpers import make_known_scan


def trained(devices: int, accumulated: int, architecture: str) -> TrainedModel:
    """Train a small network for two epochs."""
    scan = make_known_scan(frame_size=64, side=8, step_px=4.0).scan
    execution = ExecutionConfig(
        accelerator='cpu',
        threads=1,
        devices=devices,
        strategy='ddp' if devices > 1 else 'auto',
        accum_steps=accumulated,
        logger='none',
    )
    model = ModelConfig(architecture=architecture, **SMALL[architecture])
    training = TrainingConfig(epochs=2, seed=1, **EPOCHS[architecture])
    return train(scan, backend='pytorch', model=model, training=training, execution=execution)


SMALL = {
    'cnn': {'n_filters_scale': 1, 'gridsize': 1},
    'unrolled': {'width': 4, 'levels': 1},
}
EPOCHS = {
    'cnn': {'batch_size': 8, 'n_groups': 64},
    'unrolled': {
        'pretrained': False,
        'steps_per_epoch': 4,
        'crop_frames': 30,
        'validation_episodes': 1,
        'reference_passes': 4,
    },
}


def one_device(rank: int, port: int, folder: Path) -> None:
    """Train as one of two processes, as torchrun starts them; each saves its model."""
    # Lightning trains on several CPUs, this package only on several GPUs.
    check = 'ptychopinn_plugin.backends.pytorch.training_loop.check_device_count'
    pytest.MonkeyPatch().setattr(check, lambda execution, device: None)
    place = {'RANK': rank, 'LOCAL_RANK': rank, 'GROUP_RANK': 0, 'WORLD_SIZE': 2}
    place |= {'LOCAL_WORLD_SIZE': 2, 'MASTER_PORT': port}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ |= {'MASTER_ADDR': '127.0.0.1', 'TORCHELASTIC_RUN_ID': 'test'}
    os.environ.setdefault('GLOO_SOCKET_IFNAME', 'lo')
    for architecture in SMALL:
        save_model(folder / f'{architecture}-{rank}.safetensors', trained(2, 1, architecture))


def pairs_of_episodes() -> type[Any]:
    """Return the training of the learned stage with two episodes in each step of one process.

    A step of two devices has the same application of the network in each of two episodes.
    Accumulated batches would have all applications in one episode before those in the next.
    """
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps
    from ptychopinn_plugin.backends.pytorch.unrolled_training import StageTraining

    class PairTraining(StageTraining):
        first: Any = None

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            if batch_idx % 2 == 0:
                self.first = batch
                self.epoch_losses.append(0.0)
                return torch.zeros(())
            rate = self.rate_of(self.episodes.config.steps_per_epoch, batch_idx)
            ops, stage, visits = TorchOps(self.device), self.build_stage(), (self.first, batch)
            with torch.no_grad():
                episodes = [self.episodes.trained(ops, visit) for visit in visits]
                held_out = [episode.held_out(ops) for episode in episodes]
            for number in range(len(batch.symmetries)):
                for visit, episode, rest in zip(visits, episodes, held_out, strict=True):
                    before, symmetry = episode.states[number], visit.symmetries[number]
                    deviance = rest.deviance(stage.update_object(before, symmetry=symmetry))
                    loss = (deviance - episode.reference_deviance) / before.excess
                    self.apply_gradient(loss, rate, last=False)
            self.epoch_losses.append(0.0)
            return torch.zeros(())

    return PairTraining


@pytest.mark.slow
@pytest.mark.pytorch
def test_two_devices_train_as_one_with_twice_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptychopinn_plugin.backends.pytorch import fit

    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        port = one.getsockname()[1]
    context = multiprocessing.get_context('spawn')
    processes = [
        context.Process(target=one_device, args=(rank, port, tmp_path)) for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
        assert process.exitcode == 0
    models = {
        name: [load_model(tmp_path / f'{name}-{rank}.safetensors') for rank in range(2)]
        for name in SMALL
    }
    for first, second in models.values():
        for name, values in first.weights.items():
            np.testing.assert_array_equal(values, second.weights[name])
    monkeypatch.setattr(fit, 'StageTraining', pairs_of_episodes())
    for architecture, (divided, _) in models.items():
        # Two batches in one step: the gradient is that of a batch twice as large.
        alone = trained(1, 2, architecture)
        for name, values in alone.weights.items():
            np.testing.assert_allclose(divided.weights[name], values, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(divided.losses[:, 1], alone.losses[:, 1], rtol=1e-4)
