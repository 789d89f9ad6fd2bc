"""Commands and Python of a page, run with settings that take no time in place of the page's."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

from ptychopinn_plugin.cli.legacy_flags import translate_flags
from ptychopinn_plugin.cli.main import main
from ptychopinn_plugin.cli.parser import parse

# Lines that are not run, by their beginning, with the reason.
LEFT_OUT = {
    'python -m venv': 'makes an environment; .ci/packages and .ci/one_framework do so',
    '. ': 'activates an environment',
    'pip install': 'installs; the extras are compared with those of pyproject.toml',
    'ptychodus': 'opens a window; tests/ptychodus/test_window.py and make_screenshots.py use it',
    'ptychopinn ptychodus': 'opens a window, as ptychodus does',
    'torchrun --standalone': 'tests/cli/test_device_processes.py runs it in four processes',
}
# Of these, other words follow what is run.
RUNS_OF_PTYCHODUS = 'ptychodus -b'
SETTINGS = {
    'simulate': ['--rows', '8', '--columns', '8'],
    'check': ['--no-trials'],
    'train': ['--epochs', '1', '--early-stop-patience', '1'],
    'reconstruct': ['--refine-iterations', '3'],
    'batch': ['--refine-iterations', '3'],
    'watch': ['--refine-iterations', '3', '--idle', '1'],
}
TRAINING = ['--steps-per-epoch', '1', '--crop-frames', '25', '--validation-episodes', '1']
CNN_TRAINING = ['--batch-size', '32', '--gridsize', '1', '--n-groups', '32']
# Results that the page compares.
AS_IT_IS = {'first.npz', 'second.npz'}
CNN_FLAGS = {'--train_data_file', '--architecture', '--nepochs', '--initial-model'}
# Processes of a group: each loads a framework.
FEWER = {'--devices': '2', '--jobs': '1', '--threads': '1'}
IN_PYTHON = {
    'TrainingConfig(epochs=10)': 'TrainingConfig('
    'epochs=1, steps_per_epoch=1, crop_frames=25, validation_episodes=1)',
    'epochs=10': 'epochs=1, n_groups=32',
    'crop=128': 'crop=16',
}
IN_FILES = {
    'refine_iterations = 24': 'refine_iterations = 3',
    'epochs = 20': 'epochs = 1\nsteps_per_epoch = 2\nreference_passes = 2\nvalidation_episodes = 1',
}


def replaced(text: str, replacements: dict[str, str]) -> str:
    """Return a text with cheaper settings."""
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def cheap(words: list[str]) -> list[str]:
    """Return the words after `ptychopinn` with cheaper settings."""
    command, names = words[0], set(words)
    added = list(SETTINGS.get(command, []))
    if command == 'reconstruct' and AS_IT_IS & names:
        return words
    if command == 'train':
        added += CNN_TRAINING if CNN_FLAGS & names or '--config' in names else TRAINING
        added[1] = '2' if '--resume' in names else '1'
    if command == 'reconstruct' and ('cnn.safetensors' in names or '--config' in names):
        cnn_refines = '--cnn-refine-iterations' in names
        added = ['--cnn-refine-iterations', '2'] if cnn_refines else []
    added += [word for flag in FEWER if flag in names for word in (flag, FEWER[flag])]
    flags = {flag for flag in added if flag.startswith('--')}
    dropped = flags | ({'--nepochs'} if '--epochs' in flags else set())
    kept, skip = [], False
    for word in words:
        if not skip and word not in dropped:
            kept.append(word)
        skip = not skip and word in dropped
    return kept + added


def lines_of(text: str) -> list[str]:
    """Return the lines of a block that do something, continued ones joined."""
    lines = text.replace('\\\n', ' ').splitlines()
    return [line for line in lines if shlex.split(line, comments=True)]


def reason_left_out(line: str) -> str:
    """Return why a line is not run, '' where it is."""
    if line.startswith(RUNS_OF_PTYCHODUS):
        return ''
    return next((LEFT_OUT[begin] for begin in LEFT_OUT if line.startswith(begin)), '')


def run_block(text: str) -> None:
    """Run each line of a block of shell commands, or the whole where it is a script."""
    if text.startswith('#!'):
        run_script(text)
        return
    for line in lines_of(text):
        if reason_left_out(line):
            continue
        words = shlex.split(line, comments=True)
        # The shell's part, done here: the files of a pattern.
        words = [found for word in words for found in files(word)]
        if words[0] == 'ptychopinn':
            run_ptychopinn(line, words[1:])
        elif words[0] == 'torchrun':
            run_torchrun(line, words[1:])
        else:
            run_program(line, words)


def files(word: str) -> list[str]:
    """Return the files that a word with a star stands for, else the word."""
    return sorted(map(str, Path().glob(word))) if '*' in word else [word]


def run_ptychopinn(line: str, words: list[str]) -> None:
    """Run one command in this process."""
    assert vars(parse(translate_flags(words)[0])[1]), line
    if words[0] in ('demo', 'doctor', 'backends'):
        # Depends on no file of the page.
        assert code_of(words[0]) == 0, line
    else:
        assert main(cheap(words)) == 0, line


@cache
def code_of(command: str) -> int:
    """Return the exit code of a command without flags, run once for all pages."""
    return main([command])


def run_program(line: str, words: list[str], *, copies: int = 1) -> None:
    """Run a program, or several at the same time, as a user does."""
    programs = Path(sys.executable).parent
    path = f'{programs}{os.pathsep}{os.environ["PATH"]}'
    program = shutil.which(words[0], path=path)
    assert program, line
    started = [
        subprocess.Popen(
            [program, *words[1:]],
            env=os.environ | {'PATH': path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(copies)
    ]
    try:
        said = [process.communicate(timeout=120)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert not any(process.returncode for process in started), '\n'.join([line, *said])


def run_torchrun(line: str, words: list[str]) -> None:
    """Run torchrun; of several machines each has its own, here as so many programs."""
    words = [re.sub(r'\bnode1:\d+', f'127.0.0.1:{free_port()}', word) for word in words]
    nodes = int(words[words.index('--nnodes') + 1]) if '--nnodes' in words else 1
    place = words.index('ptychopinn_plugin')
    launcher = words[: place + 1]
    launcher[launcher.index('--nproc-per-node') + 1] = '1'
    run_program(
        line,
        ['python', '-m', 'torch.distributed.run', *launcher, *cheap(words[place + 1 :])],
        copies=nodes,
    )


def free_port() -> int:
    """Return a port that nothing uses."""
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return int(one.getsockname()[1])


# What a cluster and an installation of a user give to a script.
SCONTROL = 'echo 127.0.0.1'
SRUN = """shift
for rank in 0 1; do SLURM_PROCID=$rank SLURM_LOCALID=$rank SLURM_NTASKS=2 "$@" & done
wait -n && wait -n"""
CLUSTER = {
    'SLURM_JOB_NODELIST': 'node[1-2]',
    'SLURM_ARRAY_TASK_ID': '1',
    'PBS_ARRAY_INDEX': '2',
    'GLOO_SOCKET_IFNAME': 'lo',
}


def run_script(text: str) -> None:
    """Run a job script with stand-ins of the cluster's programs, cheaper by its settings."""
    folder = Path.cwd()
    (folder / 'bin').mkdir(exist_ok=True)
    (folder / 'ptychopinn' / 'bin').mkdir(parents=True, exist_ok=True)
    (folder / 'ptychopinn' / 'bin' / 'activate').write_text('')
    for name, content in (('scontrol', SCONTROL), ('srun', SRUN)):
        (folder / 'bin' / name).write_text(f'#!/bin/bash\n{content}\n')
        (folder / 'bin' / name).chmod(0o755)
    text = re.sub(
        r'ptychopinn (reconstruct|batch) ', r'ptychopinn \1 --refine-iterations 3 ', text
    ).replace('29500', str(free_port()))
    (folder / 'job.sh').write_text(text)
    programs = os.pathsep.join([str(folder / 'bin'), str(Path(sys.executable).parent)])
    cluster = CLUSTER | {'HOME': str(folder), 'PBS_O_WORKDIR': str(folder)}
    done = subprocess.run(
        ['bash', '-e', 'job.sh'],
        env=os.environ | cluster | {'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}'},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
