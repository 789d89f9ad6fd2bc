"""The commands on the real engines, small."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin import __version__
from ptychopinn_plugin.cli.console import CommandMonitor
from ptychopinn_plugin.config import Backend, InferenceConfig, OrientationConfig
from ptychopinn_plugin.config.used_settings import settings_lines
from ptychopinn_plugin.io.model_file import load_model
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.metrics import score
from ptychopinn_plugin.monitor import Progress
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulationConfig, save_simulated, simulate
from tests.cli.conftest import Run

SMALL = '--steps-per-epoch 2 --crop-frames 30 --validation-episodes 2 --width 4 --levels 1'
TRAIN = f'train scan.npz --model m.safetensors {SMALL} --reference-passes 4'.split()


@pytest.fixture
def simulated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('scan') / 'scan.npz'
    save_simulated(path, simulate(SimulationConfig(rows=12, columns=12)))
    return path


def test_a_scan_becomes_its_object(run: Run, folder: Path, backend: Backend) -> None:
    shown = run('reconstruct', 'scan.npz', '--output', 'o.npz', '--backend', backend)
    assert shown.code == 0, shown.err
    result = load_result(folder / 'o.npz')
    with np.load(folder / 'scan.npz') as file:
        truth = file['objectGuess']
    core = scanned_core(result.positions_px, result.origin_px)
    found = score(result.object_canvas[core], truth[core])
    assert found.nrmse < 0.05
    assert found.phase_ssim > 0.9
    assert result.backend == backend
    expected = (*settings_lines(InferenceConfig()), *settings_lines(OrientationConfig()))
    assert result.settings == expected
    assert result.version == __version__


@pytest.mark.slow
def test_train_resume_reconstruct(run: Run, folder: Path, backend: Backend) -> None:
    shown = run(*TRAIN, '--epochs', 1, '--backend', backend)
    assert shown.code == 0, shown.err
    assert len(load_model(folder / 'm.safetensors').losses) == 1
    shown = run(*TRAIN, '--epochs', 2, '--backend', backend, '--resume')
    assert shown.code == 0, shown.err
    assert len(load_model(folder / 'm.safetensors').losses) == 2
    words = ('--model', 'm.safetensors', '--output', 'o.h5', '--refine-iterations', 3)
    shown = run('reconstruct', 'scan.npz', *words, '--backend', backend)
    assert shown.code == 0, shown.err
    assert 'm-training' in [path.name for path in folder.iterdir()]


@pytest.mark.slow
def test_resuming_with_another_network_is_bad_input(
    run: Run, folder: Path, backend: Backend
) -> None:
    run(*TRAIN, '--epochs', 1, '--backend', backend)
    before = (folder / 'm.safetensors').read_bytes()
    shown = run(*TRAIN, '--epochs', 2, '--backend', backend, '--resume', '--width', 8)
    assert (shown.code, shown.out) == (2, '')
    assert 'network of another shape' in shown.err
    assert (folder / 'm.safetensors').read_bytes() == before


@pytest.mark.parametrize('presses', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_keeps_the_best_model_unless_pressed_twice(
    run: Run, folder: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch, presses: int
) -> None:
    def press(self: CommandMonitor, progress: Progress) -> None:
        if progress.validation_loss is not None:
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(CommandMonitor, 'on_progress', press)
    before = signal.getsignal(signal.SIGINT)
    shown = run(*TRAIN, '--epochs', 9, '--backend', backend)
    assert shown.code == 130, shown.err
    assert (folder / 'm.safetensors').exists() == (presses == 1)
    assert 'interrupted' in shown.err.splitlines()[-1]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.integration
@pytest.mark.slow
def test_quiet_is_quiet_to_the_last_library(folder: Path, backend: Backend) -> None:
    command = [sys.executable, '-m', 'ptychopinn_plugin', *TRAIN, '--epochs', '1']
    done = subprocess.run(
        [*command, '--backend', backend, '--quiet'],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=folder,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    said = 'model: m.safetensors\npicture: m-training.png\n'
    assert (done.returncode, done.stdout, done.stderr) == (0, said, '')
