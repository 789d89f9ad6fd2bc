"""Processes on torch.distributed give what one process gives."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.backends.ranks import ProcessRank
from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.config.model_names import PACKAGED
from ptychopinn_plugin.errors import Cancelled, ConfigError
from ptychopinn_plugin.io.checkpoint_archive import CheckpointHeader
from ptychopinn_plugin.io.model_file import resolve_model
from ptychopinn_plugin.io.result_files import load_result, save_reconstruction
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.checkpointing import FILE_NAME, Checkpointing, CheckpointMonitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.solver.parts.communicator import Communicator
from tests.helpers import make_known_scan
from tests.solver.process_threads import in_threads
from tests.solver.test_scan_parts import assert_equal

CASES: dict[str, dict[str, Any]] = {
    'fixed probe': {'update_probe': 'off', 'noise_model': 'amplitude', 'closing_stage': False},
    'probe': {'update_probe': 'on', 'closing_stage': False},
    'positions': {'update_positions': 'on', 'closing_stage': False},
    'background': {'update_background': True, 'closing_stage': False},
    'learned stage': {'update_probe': 'off', 'noise_model': 'amplitude'},
}
RESUMED = 'positions'
PLACE = {
    'RANK': '1',
    'WORLD_SIZE': '4',
    'LOCAL_RANK': '1',
    'MASTER_ADDR': 'a',
    'MASTER_PORT': '2',
}


def dim_scan() -> ScanData:
    return make_known_scan(side=10, step_px=4.0, photons=2e3).scan


def reconstruct(
    name: str, communicator: Communicator | None = None, monitor: Monitor | None = None
) -> Reconstruction:
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps
    from ptychopinn_plugin.backends.pytorch.unrolled_inference import UnrolledInference

    torch.set_num_threads(1)
    ops, model = TorchOps(torch.device('cpu')), resolve_model(PACKAGED)
    assert model is not None
    config = InferenceConfig(refine_iterations=6, estimate_errors=False, **CASES[name])
    with torch.no_grad():
        return run_reconstruction(
            ops,
            dim_scan(),
            config,
            monitor or Monitor(),
            backend='pytorch',
            stage=UnrolledInference(ops, model).stage,
            communicator=communicator,
        )


class StopAfter(Monitor):
    """Requests a stop after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_progress(self, progress: Progress) -> None:
        self.left -= 1

    def should_stop(self) -> bool:
        return self.left <= 0


def keeper(path: Path, steps: int = 99) -> Monitor:
    """Return a monitor that writes a checkpoint after each pass and goes on from it."""
    inference = InferenceConfig(refine_iterations=6, estimate_errors=False, **CASES[RESUMED])
    header = CheckpointHeader(backend='pytorch', scan='a' * 64, inference=inference)
    plan = Checkpointing(path, seconds=0, resume=True)
    return CheckpointMonitor(StopAfter(steps), plan, lambda: header)


def work(rank: int, size: int, port: int, folder: Path) -> None:
    """Reconstruct every case as one of the processes; the first one saves the results."""
    import torch

    from ptychopinn_plugin.backends.pytorch.process_group import join_group

    os.environ |= {'RANK': str(rank), 'WORLD_SIZE': str(size), 'LOCAL_RANK': str(rank)}
    os.environ |= {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}
    os.environ.setdefault('GLOO_SOCKET_IFNAME', 'lo')
    group = join_group(ProcessRank.of_environment(), torch.device('cpu'))
    for name in CASES:
        result = reconstruct(name, group)
        if rank == 0:
            save_reconstruction(folder / f'{name}.npz', result, dim_scan())
    with pytest.raises(Cancelled):
        reconstruct(RESUMED, group, keeper(folder / FILE_NAME, steps=3))
    if rank == 0:
        shutil.copy(folder / FILE_NAME, folder / 'copy')
    result = reconstruct(RESUMED, group, keeper(folder / FILE_NAME))
    if rank == 0:
        save_reconstruction(folder / 'resumed.npz', result, dim_scan())
    group.leave()


@pytest.mark.slow
@pytest.mark.pytorch
def test_two_gloo_processes_give_what_one_gives(tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        port = one.getsockname()[1]
    context = multiprocessing.get_context('spawn')
    processes = [context.Process(target=work, args=(rank, 2, port, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    for name in CASES:
        alone = reconstruct(name)
        assert any('network changed' in one for one in alone.remarks) == (name == 'learned stage')
        assert_equal(alone, load_result(tmp_path / f'{name}.npz'))
    # As many processes take the same sums in the same order; one alone takes them in another.
    unbroken, resumed = (load_result(tmp_path / f'{name}.npz') for name in (RESUMED, 'resumed'))
    assert_equal(unbroken, resumed, 1e-6)
    assert_equal(unbroken, reconstruct(RESUMED, monitor=keeper(tmp_path / 'copy')))


def test_the_learned_stage_gets_the_whole_canvas() -> None:
    from ptychopinn_plugin.physics.numpy_ops import NumpyOps
    from tests.solver.scans import Values

    seen: list[tuple[int, ...]] = []

    def stage(image: Values, direction: Values, dose: Values) -> Values:
        seen.append(image.shape)
        # As any useful update would, it follows the gradient.
        return np.asarray(image + np.complex64(0.3) * direction)

    def run(group: Communicator | None = None) -> Reconstruction:
        config = InferenceConfig(refine_iterations=2, estimate_errors=False, update_probe='off')
        return run_reconstruction(
            NumpyOps(),
            dim_scan(),
            config,
            Monitor(),
            backend='pytorch',
            stage=stage,
            communicator=group,
        )

    alone = run()
    shapes = list(seen)
    seen.clear()
    first, _ = in_threads(2, run)
    assert seen == shapes
    assert 'network' in alone.stages
    assert_equal(alone, first)


def test_the_place_of_a_process_comes_from_the_environment() -> None:
    assert ProcessRank.of_environment({}) == ProcessRank(0, 1, 0)
    assert ProcessRank.of_environment({'WORLD_SIZE': '1', 'RANK': 'x'}) == ProcessRank(0, 1, 0)
    assert ProcessRank.of_environment(PLACE) == ProcessRank(1, 4, 1)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'RANK': ''}, 'WORLD_SIZE is 4, so RANK must be set too; start the processes with'),
        ({'MASTER_ADDR': '', 'MASTER_PORT': ''}, 'MASTER_ADDR and MASTER_PORT must be set'),
        ({'RANK': 'one'}, 'must be whole numbers: RANK=one, WORLD_SIZE=4, LOCAL_RANK=1'),
        ({'RANK': '4'}, 'RANK must be 0 to 3, got 4'),
    ],
)
def test_an_environment_that_names_no_place_is_refused(
    change: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ProcessRank.of_environment(PLACE | change)
