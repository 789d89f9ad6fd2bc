"""Trainings of both backends that are ended from outside, and folders that they are repeated in."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.cli.interrupts import on_interrupt
from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.monitor import Monitor, Progress
from tests.helpers import make_scan

TINY = ModelConfig(width=4, levels=1, blocks=1)
SHORT = TrainingConfig(
    epochs=4, steps_per_epoch=2, crop_frames=9, reference_passes=1, validation_episodes=1
)


class Terminated(Monitor):
    """Sends SIGTERM to this process after the first epoch, as a batch system does."""

    def __init__(self) -> None:
        self.stops = False

    def request_stop(self) -> None:
        self.stops = True

    def should_stop(self) -> bool:
        return self.stops

    def on_progress(self, progress: Progress) -> None:
        if progress.validation_loss is not None:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.slow
def test_sigterm_ends_a_training_with_its_best_model(engine: Engine) -> None:
    monitor = Terminated()
    with on_interrupt(monitor.request_stop):
        model = engine.fit([make_scan(side=4)], TINY, SHORT, monitor)
    assert monitor.stops
    assert len(model.losses) == 1


@pytest.mark.slow
def test_old_and_new_checkpoints_do_not_mix(engine: Engine, tmp_path: Path) -> None:
    scan = make_scan(side=4)
    brief = SHORT.model_copy(update={'epochs': 1})
    (tmp_path / 'best-00017.ckpt').touch()  # of the other backend's training, or of this one's
    (tmp_path / 'best-00017.safetensors').touch()
    (tmp_path / 'last.ckpt').touch()
    (tmp_path / 'notes.txt').touch()
    engine.fit([scan], TINY, brief, Monitor(), folder=tmp_path)
    (earlier,) = tmp_path.glob('earlier-*')
    assert {path.name for path in earlier.iterdir()} == {
        'best-00017.ckpt',
        'best-00017.safetensors',
        'last.ckpt',
    }
    assert (tmp_path / 'notes.txt').exists()
    assert {path.stem for path in tmp_path.glob('best-*')} == {'best-00000'}
    # A training that is resumed keeps them.
    engine.fit([scan], TINY, brief, Monitor(), folder=tmp_path, resume=True)
    assert len(list(tmp_path.glob('earlier-*'))) == 1


@pytest.mark.pytorch
@pytest.mark.parametrize(
    ('script', 'refused'),
    [
        ('import x\nx.train()\n', True),
        ("import x\nif __name__ == '__main__':\n    x.train()\n", False),
        ('def main():\n    if __name__:\n        pass\nmain()\n', True),
        ('no python', False),
    ],
)
def test_loader_processes_need_a_main_guard_where_they_are_spawned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, refused: bool
) -> None:
    from ptychopinn_plugin.backends.pytorch.loader_processes import check_main_guard

    (tmp_path / 'script.py').write_text(script)
    main = ModuleType('__main__')
    main.__file__ = str(tmp_path / 'script.py')
    monkeypatch.setitem(sys.modules, '__main__', main)
    for method in ('fork', 'spawn', 'forkserver'):
        monkeypatch.setattr(
            multiprocessing,
            'get_start_method',
            lambda allow_none=False, method=method: method,
        )
        check_main_guard(0)
        if refused and method != 'fork':
            with pytest.raises(ConfigError, match=r'num_workers is 2, .* would run .*script.py'):
                check_main_guard(2)
        else:
            check_main_guard(2)
