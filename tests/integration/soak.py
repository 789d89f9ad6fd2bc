"""Many reconstructions and trainings in one process: memory, files and threads have to stay flat.

Run it: `python -m tests.integration.soak --reconstructions 200 --trainings 20`; with `--ptychodus`
they are jobs of one Ptychodus model, as its window and scripts start them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
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
from tests.worker.helpers import children_of

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


def soak(job: Callable[[], object], worker: Callable[[], int], times: int) -> list[Usage]:
    """Do a job many times; return the usage after each."""
    found = []
    for _ in range(times):
        job()
        found.append(usage(worker()))
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


@dataclass(frozen=True)
class Jobs:
    """What is done many times.

    Attributes:
        reconstruct: a reconstruction.
        train: a training.
        worker: returns the number of the process that computes.
    """

    reconstruct: Callable[[], object]
    train: Callable[[], object]
    worker: Callable[[], int]


@contextlib.contextmanager
def jobs_of_engine(backend: Backend) -> Iterator[Jobs]:
    """Yield jobs of one engine."""
    execution = ExecutionConfig(backend=backend, accelerator='cpu', threads=1, logger='none')
    scan = make_scan(frame_size=32, side=8)
    passes = InferenceConfig(refine_iterations=6)
    model = ModelConfig(width=4, levels=1, blocks=1)
    training = TrainingConfig(
        epochs=1, steps_per_epoch=2, validation_episodes=1, reference_passes=2
    )

    def worker() -> int:
        assert engine.worker_pid is not None
        return engine.worker_pid

    with RemoteEngine(execution) as engine:
        yield Jobs(
            lambda: engine.reconstruct(scan, passes, None, Monitor()),
            lambda: engine.fit([scan], model, training, Monitor()),
            worker,
        )


PTYCHODUS_SETTINGS = """
[Processing]
Algorithm = PtychoPINN-Plugin_PINN

[PtychoPINNPluginExecution]
backend = {backend}
accelerator = cpu
threads = 1
logger = none

[PtychoPINNPluginInference]
refine_iterations = 6

[PtychoPINNPluginTraining]
epochs = 1
steps_per_epoch = 2
reference_passes = 2
validation_episodes = 1

[PtychoPINNPluginModel]
width = 4
levels = 1
blocks = 1
"""
PINN = 'ptychopinn-plugin_pinn'


@contextlib.contextmanager
def jobs_of_ptychodus(backend: Backend) -> Iterator[Jobs]:
    """Yield jobs of one Ptychodus model, whose results are taken out of its list."""
    # Not above: the other jobs need no Ptychodus.
    from ptychodus.model import ModelCore

    import ptychopinn_plugin
    from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair

    ptychopinn_plugin.install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_ptychodus_pair(folder, make_scan(frame_size=32, side=8))
        (folder / 'settings.ini').write_text(PTYCHODUS_SETTINGS.format(backend=backend))
        with ModelCore(folder / 'settings.ini') as model:
            data = model.workflow_api.load_assembled_diffraction_data(folder / 'diffraction.h5')
            product = model.workflow_api.load_product(folder / 'product.h5', diffraction=data)

            def reconstruct() -> None:
                result = product.reconstruct_local(algorithm=PINN, block=True)
                assert result.get_product().losses, 'it was not reconstructed'
                model.product_core.product_repository.remove_product(result.get_product_index())

            def train() -> None:
                (folder / 'model.safetensors').unlink(missing_ok=True)
                product.train_reconstructor_local(folder, folder, algorithm=PINN, block=True)
                assert (folder / 'model.safetensors').exists(), 'it was not trained'

            yield Jobs(reconstruct, train, lambda: children_of(os.getpid())[0])


def soak_backend(
    backend: Backend, reconstructions: int, trainings: int, *, ptychodus: bool = False
) -> dict[str, float]:
    """Soak one backend; return the relative growth of each figure, by job and figure."""
    make_jobs = jobs_of_ptychodus if ptychodus else jobs_of_engine
    result: dict[str, float] = {}
    with make_jobs(backend) as jobs:
        for name, job, times in (
            ('reconstruction', jobs.reconstruct, reconstructions),
            ('training', jobs.train, trainings),
        ):
            began = time.monotonic()
            found = soak(job, jobs.worker, times)
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
    parser.add_argument('--ptychodus', action='store_true')
    options = parser.parse_args()
    failed = False
    for backend in options.backends:
        for name, value in soak_backend(
            backend, options.reconstructions, options.trainings, ptychodus=options.ptychodus
        ).items():
            failed = failed or value > ALLOWED_GROWTH
            sys.stdout.write(f'  {value:+7.2%}  {name}\n')
    sys.exit(f'something grew by more than {ALLOWED_GROWTH:.0%}' if failed else 0)


if __name__ == '__main__':
    main()
