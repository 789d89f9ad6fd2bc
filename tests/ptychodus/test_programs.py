"""Whole programs, as a user starts them: batch mode and scripts, with the real worker."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from ptychodus.api.io import load_product

from ptychopinn_plugin.config import Backend

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BIN = Path(sys.executable).parent

SETTINGS = """
[Processing]
Algorithm = PtychoPINN-Plugin_PINN

[PtychoPINNPluginExecution]
backend = {backend}
accelerator = cpu

[PtychoPINNPluginInference]
refine_iterations = 6

[PtychoPINNPluginTraining]
epochs = {epochs}
steps_per_epoch = 2
reference_passes = 2
validation_episodes = 1

[PtychoPINNPluginModel]
width = 4
levels = 1
blocks = 1
"""

SCRIPT = """
import sys
from pathlib import Path

import ptychopinn_plugin
from ptychodus.model import ModelCore

PINN = 'ptychopinn-plugin_pinn'


def main():
    folder = Path(sys.argv[1])
    ptychopinn_plugin.install()
    with ModelCore(folder / 'settings.ini') as model:
        api = model.workflow_api
        data = api.load_assembled_diffraction_data(folder / 'diffraction.h5')
        product = api.load_product(folder / 'product.h5', diffraction=data)
        product.train_reconstructor_local(folder, folder / 'trained', algorithm=PINN, block=True)
        result = product.reconstruct_local(algorithm=PINN, block=True)
        result.save_product(folder / 'result.h5')
    heavy = [name for name in ('torch', 'tensorflow', 'PyQt5') if name in sys.modules]
    print('loaded here:', heavy)

"""


def write_settings(folder: Path, backend: str, epochs: int = 2) -> None:
    (folder / 'settings.ini').write_text(SETTINGS.format(epochs=epochs, backend=backend))


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=240, check=False
    )


def workers(parent: int) -> list[int]:
    """Return the worker processes that a process has started."""
    found = []
    for status in Path('/proc').glob('[0-9]*/status'):
        try:
            text = status.read_text()
            command = (status.parent / 'cmdline').read_bytes()
        except OSError:
            continue
        if f'\nPPid:\t{parent}\n' in text and b'ptychopinn_plugin.worker' in command:
            found.append(int(status.parent.name))
    return found


def test_batch_training_then_batch_reconstruction(
    folder: Path, tmp_path: Path, backend: Backend
) -> None:
    write_settings(folder, backend)
    trained = run(BIN / 'ptychodus', '-b', 'train', '-i', folder, '-o', folder)
    assert trained.returncode == 0, trained.stdout
    assert len(re.findall(r'Epoch \d+: loss', trained.stdout)) == 2
    out = tmp_path / 'out'
    done = run(BIN / 'ptychodus', '-b', 'reconstruct', '-i', folder, '-o', out)
    assert done.returncode == 0, done.stdout
    product = load_product(out / 'product.h5')
    assert f'backend {backend}, model' in product.metadata.comments
    # Of the reconstruction: 6 passes, and the learned stage after them
    # where it was kept.
    assert '6 iterations in' in product.metadata.comments
    assert len(product.losses) in (6, 7)
    assert all(loss.value > 0 for loss in product.losses)


def test_the_launcher_and_a_wrong_scan(folder: Path, tmp_path: Path) -> None:
    write_settings(folder, 'jax')
    launched = run(
        BIN / 'ptychopinn', 'ptychodus', '-b', 'reconstruct', '-i', folder, '-o', tmp_path / 'out'
    )
    assert launched.returncode == 1
    assert "'tensorflow' or 'pytorch'" in launched.stdout


def test_the_remote_step_of_ptychodus_globus_flow(
    folder: Path, tmp_path: Path, backend: Backend
) -> None:
    source = 'from ptychodus.model.globus.actions import process_with_ptychodus as step\n'
    if find_spec('ptychodus.model.globus.actions') is None:
        pytest.skip('this Ptychodus has no Globus flow with such a step')
    write_settings(folder, backend)
    out = tmp_path / 'flow' / 'output'
    # Globus Compute calls the function by itself: no program, no settings but those of the folder.
    call = f'step(action="reconstruct", input_directory="{folder}", output_directory="{out}")'
    done = run(sys.executable, '-c', source + call)
    assert done.returncode == 0, done.stdout + done.stderr
    comments = load_product(out / 'product.h5').metadata.comments
    assert f'backend {backend}, model' in comments
    assert '6 iterations in' in comments


@pytest.mark.parametrize('call', ["if __name__ == '__main__':\n    main()\n", 'main()\n'])
def test_scripts_with_and_without_a_guard(
    folder: Path, tmp_path: Path, backend: Backend, call: str
) -> None:
    write_settings(folder, backend)
    (tmp_path / 'script.py').write_text(SCRIPT + call)
    done = run(sys.executable, tmp_path / 'script.py', folder)
    assert done.returncode == 0, done.stderr
    assert 'loaded here: []' in done.stdout
    assert (folder / 'trained' / 'model.safetensors').exists()
    assert f'backend {backend}, model' in load_product(folder / 'result.h5').metadata.comments


@pytest.mark.skipif(not Path('/proc').is_dir(), reason='processes are looked up under /proc')
def test_a_killed_worker_is_an_error_at_once_and_its_model_is_kept(
    folder: Path, tmp_path: Path, backend: Backend
) -> None:
    write_settings(folder, backend, epochs=10_000)
    text = (folder / 'settings.ini').read_text()
    patient = text.replace('accelerator', 'early_stop_patience = 10000\naccelerator')
    (folder / 'settings.ini').write_text(patient)
    out = tmp_path / 'out'
    command: list[str | Path] = [BIN / 'ptychodus', '-b', 'train', '-i', folder, '-o', out]
    log = tmp_path / 'log'
    with (
        log.open('w') as file,
        subprocess.Popen(command, stdout=file, stderr=file) as host,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(host.kill)  # or a test that fails waits for ten thousand epochs
        end = time.monotonic() + 120
        while 'Epoch 3' not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            assert host.poll() is None, log.read_text()
            time.sleep(0.05)
        (worker,) = workers(host.pid)
        os.kill(worker, signal.SIGKILL)
        began = time.monotonic()
        while 'Training failed' not in log.read_text():
            assert time.monotonic() - began < 5, log.read_text()
            time.sleep(0.02)
        assert time.monotonic() - began < 1
        assert host.wait(30) == 1
    assert '-9' in log.read_text() or 'killed' in log.read_text()
    assert 'The best model so far is in' in log.read_text()
    assert (out / 'model.safetensors').exists()
