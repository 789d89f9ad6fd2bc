"""Many reconstructions and trainings in one worker: memory, files and threads have to stay flat.

Run it: `python -m tests.integration.soak --reconstructions 200 --trainings 20`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.helpers import make_scan

# What frameworks compile and allocate at the first calls is no leak.
WARM_UP_SHARE = 0.25
ALLOWED_GROWTH = 0.05


@dataclass(frozen=True)
class Usage:
    """What the caller and its worker use after a job."""

    caller_mb: float
    worker_mb: float
    files: float
    threads: float


def usage(worker: int) -> Usage:
    return Usage(
        resident_mb(os.getpid()),
        resident_mb(worker),
        count(os.getpid(), 'fd') + count(worker, 'fd'),
        count(os.getpid(), 'task') + count(worker, 'task'),
    )


def resident_mb(pid: int) -> float:
    """Return the memory that a process holds, in MB."""
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def count(pid: int, what: str) -> int:
    return len(list(Path(f'/proc/{pid}/{what}').iterdir()))


def soak(job: Callable[[], object], engine: RemoteEngine, times: int) -> list[Usage]:
    """Do a job many times; return the usage after each."""
    found = []
    for _ in range(times):
        job()
        assert engine.worker_pid is not None
        found.append(usage(engine.worker_pid))
    return found


def growth(values: list[float]) -> float:
    """Return by how much the last third exceeds the first one after the warm-up, relative."""
    warm = values[round(WARM_UP_SHARE * len(values)) :]
    third = max(1, len(warm) // 3)
    before = statistics.median(warm[:third])
    return statistics.median(warm[-third:]) / before - 1


def growths(found: list[Usage]) -> dict[str, float]:
    return {
        name: growth([float(getattr(one, name)) for one in found])
        for name in Usage.__dataclass_fields__
    }


def soak_backend(backend: Backend, reconstructions: int, trainings: int) -> dict[str, float]:
    """Soak one backend; return the relative growth of each figure, by job and figure."""
    execution = ExecutionConfig(backend=backend, accelerator='cpu', threads=1, logger='none')
    scan = make_scan(frame_size=32, side=8)
    passes = InferenceConfig(refine_iterations=6)
    model = ModelConfig(width=4, levels=1, blocks=1)
    training = TrainingConfig(
        epochs=1, steps_per_epoch=2, validation_episodes=1, reference_passes=2
    )
    with RemoteEngine(execution) as engine:
        jobs: dict[str, tuple[Callable[[], object], int]] = {
            'reconstruction': (
                lambda: engine.reconstruct(scan, passes, None, Monitor()),
                reconstructions,
            ),
            'training': (lambda: engine.fit([scan], model, training, Monitor()), trainings),
        }
        result: dict[str, float] = {}
        for name, (job, times) in jobs.items():
            began = time.monotonic()
            found = soak(job, engine, times)
            last = found[-1]
            sys.stdout.write(
                f'{backend} {name} x {times}, {time.monotonic() - began:.0f} s: caller '
                f'{last.caller_mb:.0f} MB, worker {last.worker_mb:.0f} MB\n'
            )
            result |= {f'{name} {figure}': value for figure, value in growths(found).items()}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--reconstructions', type=int, default=200)
    parser.add_argument('--trainings', type=int, default=20)
    parser.add_argument('--backends', nargs='+', default=['pytorch', 'tensorflow'])
    options = parser.parse_args()
    failed = False
    for backend in options.backends:
        for name, value in soak_backend(
            backend, options.reconstructions, options.trainings
        ).items():
            failed = failed or value > ALLOWED_GROWTH
            sys.stdout.write(f'  {value:+7.2%}  {name}\n')
    sys.exit(f'something grew by more than {ALLOWED_GROWTH:.0%}' if failed else 0)


if __name__ == '__main__':
    main()
