"""Every execution setting has its effect on a training, in every backend and architecture."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.config import Backend, ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import (
    BackendUnavailableError,
    CheckpointError,
    ConfigError,
    ScanDataError,
)
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.cnn.split import BatchSequence
from ptychopinn_plugin.networks.unrolled.dose_gate import GATE_NAME
from ptychopinn_plugin.networks.unrolled.episode_datasets import TrainingEpisodes
from ptychopinn_plugin.scan import ScanData
from tests.conftest import require_backend
from tests.helpers import make_scan

MODELS = {
    'unrolled': ModelConfig(width=4, levels=1, blocks=1),
    'cnn': ModelConfig(architecture='cnn'),
}
SHORT = {
    'unrolled': TrainingConfig(
        epochs=1, steps_per_epoch=3, crop_frames=16, reference_passes=2, validation_episodes=1
    ),
    'cnn': TrainingConfig(epochs=1, batch_size=4, n_groups=12, validation_fraction=0.25),
}
# Adam moves each weight by at most about the learning rate a step.
RATE = 1e-3
STEPS = 3
# What is trained, once a backend and architecture, for the tests to look at.
RUNS: dict[str, dict[str, Any]] = {
    'plain': {'epochs': 2, 'checkpoint_save_top_k': 2, 'logger': 'csv'},
    'still': {'epochs': 5, 'learning_rate': 1e-20, 'early_stop_patience': 1},
    'gathered': {'epochs': 2, 'accum_steps': 1000, 'enable_checkpointing': False},
    'falling': {'epochs': 2, 'scheduler': 'Exponential', 'checkpoint_save_top_k': 0},
    'clipped': {
        'epochs': 4,
        'gradient_clip_val': 1e-12,
        'checkpoint_monitor_metric': 'train_loss',
        'checkpoint_save_top_k': 1,
    },
}


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(side=4, frame_size=64, step_px=5.0)


@pytest.fixture(
    scope='module',
    params=[
        # TensorFlow compiles each training anew.
        pytest.param(
            (backend, architecture),
            marks=[getattr(pytest.mark, backend), *slow],
            id=f'{backend}-{architecture}',
        )
        for backend, slow in (('pytorch', []), ('tensorflow', [pytest.mark.slow]))
        for architecture in MODELS
    ],
)
def trained(
    request: pytest.FixtureRequest, scan: ScanData, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    backend, architecture = request.param
    require_backend(backend)
    return Trained(backend, architecture, scan, tmp_path_factory.mktemp('runs'))


class Trained:
    """The runs of a backend and an architecture, each made when it is first looked at."""

    def __init__(self, backend: Backend, architecture: str, scan: ScanData, folder: Path) -> None:
        self.backend = backend
        self.architecture = architecture
        self.scan = scan
        self.folder = folder
        self._models: dict[str, TrainedModel] = {}

    def run(self, name: str) -> tuple[TrainedModel, Path]:
        """Return a run's model and the folder of its logs and checkpoints."""
        folder = self.folder / name
        if name not in self._models:
            self._models[name] = self.fit(folder, **RUNS[name])
        return self._models[name], folder

    def fit(
        self,
        folder: Path | None,
        *,
        epochs: int = 1,
        resume: bool = False,
        monitor: Monitor | None = None,
        **execution: Any,
    ) -> TrainedModel:
        settings: dict[str, Any] = {
            'accelerator': 'cpu',
            'deterministic': True,
            'learning_rate': RATE,
            'scheduler': 'ReduceLROnPlateau',
            'logger': 'none',
            **execution,
        }
        engine = engine_class(self.backend)(ExecutionConfig(backend=self.backend, **settings))
        return engine.fit(
            [self.scan],
            MODELS[self.architecture],
            SHORT[self.architecture].model_copy(update={'epochs': epochs}),
            monitor or Monitor(),
            folder=folder,
            resume=resume,
        )

    def moved(self, name: str) -> float:
        """Return the largest change of any weight, in learning rates and an epoch."""
        start, (model, _) = self.run('still')[0].weights, self.run(name)
        change = max(
            float(np.abs(start[name] - weight).max())
            for name, weight in model.weights.items()
            if name != GATE_NAME  # measured, not learnt
        )
        return change / RATE / (1 + int(np.argmin(model.losses[:, 1])))


def files(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def test_gathered_batches_make_one_step(trained: Trained) -> None:
    assert 0.3 < trained.moved('gathered') < 1.3
    assert trained.moved('plain') > 1.5


def test_the_scheduler_sets_the_course(trained: Trained) -> None:
    assert 0 < trained.moved('falling') < 0.9 * trained.moved('plain')


def test_gradients_are_clipped(trained: Trained) -> None:
    # Adam undoes any factor, but for its epsilon of 1e-8 that these gradients are far below.
    assert trained.moved('clipped') < 0.1 * trained.moved('plain')


def test_the_best_checkpoints_are_kept_beside_the_last(trained: Trained) -> None:
    for name, best in (('plain', 2), ('falling', 0)):
        _, folder = trained.run(name)
        assert len(files(folder, 'best-*')) == best
        assert len(files(folder, 'last.*')) == 1


def test_the_best_epoch_is_that_of_the_monitored_loss(trained: Trained) -> None:
    model, folder = trained.run('clipped')
    best = int(np.argmin(model.losses[:, 0]))
    assert [name[:10] for name in files(folder, 'best-*')] == [f'best-{best:05d}']


def test_without_checkpoints_there_is_nothing_to_resume(trained: Trained) -> None:
    _, folder = trained.run('gathered')
    assert files(folder, '*.ckpt') + files(folder, '*.checkpoint') == []
    with pytest.raises(CheckpointError):
        trained.fit(folder, epochs=3, resume=True)


def test_patience_ends_a_training_that_does_not_improve(trained: Trained) -> None:
    assert len(trained.run('still')[0].losses) == 2


def test_losses_are_logged_where_they_were_asked_for(trained: Trained) -> None:
    assert files(trained.run('plain')[1], 'logs/**/metrics.csv')
    assert not files(trained.run('falling')[1], 'logs*')


class HelperCounter(Monitor):
    """Counts who prepares batches beside a training: its child processes, or its threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = 0
        self._making: set[int] = set()
        for items in (BatchSequence, TrainingEpisodes):
            monkeypatch.setattr(items, '__getitem__', self._watched(items.__getitem__))

    def _watched(self, make: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
        def watched(items: object, index: int) -> Any:
            self._making.add(threading.get_ident())
            self.most = max(self.most, len(self._making))
            if self.most < 2:
                time.sleep(0.05)
            made = make(items, index)
            self._making.discard(threading.get_ident())
            return made

        return watched

    def on_progress(self, progress: Progress) -> None:
        self.most = max(self.most, len(multiprocessing.active_children()))


@pytest.mark.parametrize(('workers', 'fewest', 'most'), [(0, 0, 1), (2, 2, 4)])
def test_batches_are_prepared_by_as_many_as_asked_for(
    trained: Trained, workers: int, fewest: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PyTorch has as many again for the held-out batches.
    counter = HelperCounter(monkeypatch)
    # TensorFlow prepares one batch at a time where its operations must be deterministic.
    deterministic = trained.backend == 'pytorch'
    model = trained.fit(None, monitor=counter, num_workers=workers, deterministic=deterministic)
    assert fewest <= counter.most <= most
    np.testing.assert_array_equal(model.losses[0], trained.run('plain')[0].losses[0])


def test_frames_of_another_size_than_the_network_s_are_refused(
    backend: Backend, scan: ScanData
) -> None:
    engine = engine_class(backend)(ExecutionConfig(backend=backend, accelerator='cpu'))
    for architecture, model in MODELS.items():
        other = model.model_copy(update={'frame_size': 128})
        with pytest.raises(ScanDataError, match=r'frames of 128 x 128 pixels, those of .* have 64'):
            engine.fit([scan], other, SHORT[architecture], Monitor())


@pytest.mark.tensorflow
@pytest.mark.parametrize('setting', [{'devices': 2}, {'num_nodes': 2}, {'strategy': 'ddp'}])
def test_tensorflow_takes_one_device(setting: dict[str, Any]) -> None:
    execution = ExecutionConfig(backend='tensorflow', accelerator='cpu', **setting)
    with pytest.raises(ConfigError, match=f'TensorFlow .* "{next(iter(setting))} = '):
        engine_class('tensorflow')(execution)


@pytest.mark.pytorch
@pytest.mark.parametrize('setting', [{'devices': 2}, {'num_nodes': 2}])
def test_processors_do_not_train_together(scan: ScanData, setting: dict[str, Any]) -> None:
    execution = ExecutionConfig(backend='pytorch', accelerator='cpu', **setting)
    with pytest.raises(BackendUnavailableError, match='2 devices were asked for'):
        engine_class('pytorch')(execution).fit([scan], MODELS['cnn'], SHORT['cnn'], Monitor())


def test_a_device_that_is_not_here_is_not_replaced(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for accelerator in ('cuda', 'mps'):
        monkeypatch.setattr(
            f'ptychopinn_plugin.backends.{backend}.devices.devices', lambda: ('cpu',)
        )
        settings: dict[str, Any] = {'backend': backend, 'accelerator': accelerator}
        with pytest.raises(BackendUnavailableError, match=f'{accelerator!r}, but .* only cpu'):
            engine_class(backend)(ExecutionConfig(**settings))


@pytest.mark.pytorch
def test_threads_and_determinism_last_as_long_as_the_work() -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.devices import computing

    def now() -> tuple[int, int]:
        return torch.get_num_threads(), torch.get_deterministic_debug_mode()

    before = now()
    with computing(ExecutionConfig(backend='pytorch', threads=before[0] + 1, deterministic=True)):
        assert now() == (before[0] + 1, 1)
    assert now() == before
