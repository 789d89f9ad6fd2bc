"""One reconstruction in several processes: by --devices, by torchrun, and with one killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ptychopinn_plugin.cli.device_processes import exit_code
from ptychopinn_plugin.errors import ProcessLostError
from ptychopinn_plugin.io.checkpoint_archive import load_checkpoint
from ptychopinn_plugin.io.result_files import load_result
from ptychopinn_plugin.networks.checkpointing import FILE_NAME
from tests.cli.conftest import Run
from tests.worker.helpers import descendants_of, eventually, runs

PLACE = ('--backend', 'pytorch', '--accelerator', 'cpu', '--output', 'o.npz')


def test_tensorflow_computes_on_one_device(run: Run, folder: Path) -> None:
    words = ('--output', 'o.npz', '--backend', 'tensorflow', '--devices', 2)
    shown = run('reconstruct', 'scan.npz', *words)
    assert shown.code == 2
    assert shown.err.count('\n') == 1
    assert 'TensorFlow backend selected with "devices = 2", but it computes on one' in shown.err
    assert not (folder / 'o.npz').exists()


@pytest.mark.parametrize(
    ('codes', 'code'), [([0, 0], 0), ([2, 1], 2), ([1, -9], 1), ([130, 1], 130)]
)
def test_theexit_code_is_that_of_the_first_process(codes: list[int], code: int) -> None:
    assert exit_code(codes, '') == code


@pytest.mark.parametrize(
    ('codes', 'message'),
    [
        ([-9, 1], 'process 0 of 2 was ended by signal 9; nothing was written'),
        ([0, 0, -11], 'process 2 of 3 was ended by signal 11'),
        ([0, 1], 'process 1 of 2 failed'),
    ],
)
def test_an_end_that_the_first_process_cannot_tell_is_said(codes: list[int], message: str) -> None:
    with pytest.raises(ProcessLostError, match=message):
        exit_code(codes, 'nothing was written')


@pytest.mark.slow
@pytest.mark.pytorch
def test_torchrun_and_four_processes_give_what_one_gives(run: Run, folder: Path) -> None:
    settings = (
        *('--backend', 'pytorch', '--accelerator', 'cpu', '--threads', '1'),
        *('--refine-iterations', '4', '--noise-model', 'amplitude'),
    )
    assert run('reconstruct', 'scan.npz', '--output', 'one.npz', *settings).code == 0
    launcher = ('torch.distributed.run', '--standalone', '--nproc-per-node', '4')
    words = ('ptychopinn_plugin', 'reconstruct', 'scan.npz', '--output', 'four.npz', *settings)
    done = subprocess.run(
        [sys.executable, '-m', *launcher, '-m', *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('object: four.npz') == 1
    assert done.stderr.count('frames of') == 1
    one, four = (load_result(folder / name) for name in ('one.npz', 'four.npz'))
    lit = np.isfinite(one.object_canvas)
    change = np.linalg.norm((four.object_canvas - one.object_canvas)[lit])
    assert change < 1e-5 * np.linalg.norm(one.object_canvas[lit])
    assert four.remarks == one.remarks


@pytest.mark.slow
@pytest.mark.pytorch
@pytest.mark.parametrize('killed', [0, 1])
def test_a_killed_process_ends_the_others_with_one_message(
    run: Run, folder: Path, killed: int
) -> None:
    keeping = ('--checkpoint', 'state', '--checkpoint-seconds', '0', '--no-estimate-errors')
    words = ('reconstruct', 'scan.npz', *PLACE, '--devices', '2', *keeping)
    process = subprocess.Popen(
        [sys.executable, '-m', 'ptychopinn_plugin', *words, '--refine-iterations', '100000'],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        # Not every iteration is reported.
        if line.startswith('reconstruction ') and int(line.split()[1].split('/')[0]) >= 9:
            break
    group = sorted(pid for pid in descendants_of(process.pid) if 'spawn_main' in _command(pid))
    assert len(group) == 2
    os.kill(group[killed], signal.SIGKILL)
    began = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 1
    assert out == ''
    messages = [line for line in err.splitlines() if not line.startswith('reconstruction ')]
    assert len(messages) == 1
    assert 'process' in messages[0]
    assert '--resume goes on from state/reconstruction.checkpoint' in messages[0]
    assert not (folder / 'o.npz').exists()
    assert eventually(lambda: not any(runs(pid) for pid in group), 5.0)

    # The last whole state is there, and two processes go on from it.
    passes = load_checkpoint(folder / 'state' / FILE_NAME)[1].values['solver/passes']
    assert isinstance(passes, int)
    assert passes >= 8
    if killed == 1:
        shown = run(*words, '--refine-iterations', passes + 1, '--resume')
        assert shown.code == 0, shown.err
        assert load_result(folder / 'o.npz').iterations == passes + 1


def _command(pid: int) -> str:
    return Path(f'/proc/{pid}/cmdline').read_bytes().replace(b'\0', b' ').decode()
