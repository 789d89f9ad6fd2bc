"""Training and reconstruction as two programs, what they leave and how long they take."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from ptychopinn_plugin.config import Backend

FIXTURE = Path(__file__).parents[2] / 'fixtures' / 'regression-64.npz'
WARNING_SECONDS, FAILURE_SECONDS = 45.0, 90.0

MODEL, PICTURE = 'model.safetensors', 'picture.png'
PLACE = ('--accelerator', 'cpu', '--deterministic')
SETTINGS = {
    'unrolled': ('--steps-per-epoch', '3', '--validation-episodes', '2'),
    'cnn': ('--gridsize', '2', '--n-groups', '64'),
}


@dataclass(frozen=True)
class Program:
    """Output of a program, and its duration."""

    code: int
    out: str
    err: str
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Way:
    """The whole way, from a scan to its object, in a folder of its own."""

    folder: Path
    backend: Backend
    architecture: str
    output: str
    programs: tuple[Program, Program]

    @property
    def seconds(self) -> float:
        return sum(program.seconds for program in self.programs)

    @property
    def cpu_seconds(self) -> float:
        return sum(program.cpu_seconds for program in self.programs)


def run_program(folder: Path, *words: str) -> Program:
    """Run one command in a process of its own."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, '-m', 'ptychopinn_plugin', *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * FAILURE_SECONDS,
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Program(done.returncode, done.stdout, done.stderr, seconds, cpu)


def go_the_way(folder: Path, backend: Backend, architecture: str, output: str) -> Way:
    """Train on the fixture and reconstruct it, two epochs, on the CPU."""
    place = ('--backend', backend, *PLACE)
    network = ('--architecture', architecture, '--epochs', '2', *SETTINGS[architecture])
    scan = str(FIXTURE)
    trained = run_program(folder, 'train', scan, '--model', MODEL, *network, *place)
    assert trained.code == 0, trained.err
    files = ('--model', MODEL, '--output', output, '--picture', PICTURE)
    reconstructed = run_program(folder, 'reconstruct', scan, *files, *place)
    assert reconstructed.code == 0, reconstructed.err
    return Way(folder, backend, architecture, output, (trained, reconstructed))


def check_duration(seconds: float) -> None:
    """Warn of a slow regression, fail a far too slow one."""
    if seconds > FAILURE_SECONDS:
        pytest.fail(f'the regression took {seconds:.0f} s, more than {FAILURE_SECONDS:.0f} s')
    if seconds > WARNING_SECONDS:
        warnings.warn(
            f'the regression took {seconds:.0f} s, more than {WARNING_SECONDS:.0f} s', stacklevel=2
        )
