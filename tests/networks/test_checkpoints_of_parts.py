"""Several processes of one scan keep one checkpoint, from which any number of them goes on."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import Cancelled, CheckpointError
from ptychopinn_plugin.io.checkpoint_archive import (
    CheckpointHeader,
    load_checkpoint,
    scan_fingerprint,
)
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.checkpointing import FILE_NAME, Checkpointing, CheckpointMonitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.solver.parts.communicator import Communicator, OneProcess
from tests.solver.process_threads import in_threads
from tests.solver.scans import known_scan, raster_scan
from tests.solver.test_scan_parts import EQUAL, assert_equal

CASES: dict[str, dict[str, Any]] = {
    'fixed probe': {'update_probe': 'off', 'noise_model': 'amplitude'},
    'probe': {'update_probe': 'on', 'update_background': True},
    'positions': {'update_positions': 'on'},
}
SLOW: dict[str, dict[str, Any]] = {
    'flux': {'update_flux': True},
    'modes': {'probe_modes': 2, 'opr_modes': 1},
    'automatic': {'auto': True},
    'stop early': {'stop_early': True, 'update_probe': 'off'},
}


class StopAfter(Monitor):
    """Ends a process after some steps: as if it was killed after its last checkpoint."""

    def __init__(self, steps: int | None) -> None:
        self.left = steps

    def on_progress(self, progress: Progress) -> None:
        self.left = None if self.left is None else self.left - 1

    def should_stop(self) -> bool:
        return self.left is not None and self.left <= 0


@functools.cache
def dim_scan() -> ScanData:
    return known_scan(side=8, noise=True, photons=1e5).scan


def reconstruct(
    group: Communicator,
    scan: ScanData,
    settings: dict[str, Any],
    plan: Checkpointing | None = None,
    steps: int | None = None,
) -> Reconstruction | None:
    """Reconstruct as one of several processes; None where it ended before it was done."""
    inference = InferenceConfig(**{'refine_iterations': 8, 'estimate_errors': False} | settings)

    def header() -> CheckpointHeader:
        # Reading all frames for it is the work of one process.
        assert group.rank == 0
        return CheckpointHeader(backend='pytorch', scan=scan_fingerprint(scan), inference=inference)

    monitor: Monitor = StopAfter(steps)
    if plan is not None:
        monitor = CheckpointMonitor(monitor, plan, header)
    try:
        return run_reconstruction(
            NumpyOps(), scan, inference, monitor, backend='pytorch', communicator=group
        )
    except Cancelled:
        return None


def together(processes: int, *args: Any, **kwargs: Any) -> Reconstruction | None:
    """Return the result of the first process."""
    if processes == 1:
        return reconstruct(OneProcess(), *args, **kwargs)
    return in_threads(processes, lambda group: reconstruct(group, *args, **kwargs))[0]


def check_resumed(
    scan: ScanData, settings: dict[str, Any], folder: Path, before: int, after: int
) -> None:
    """Interrupt a reconstruction in some processes and go on in others."""
    unbroken = together(before, scan, settings)
    assert together(before, scan, settings, Checkpointing(folder / FILE_NAME, 0), 4) is None
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]
    state = load_checkpoint(folder / FILE_NAME)[1]
    assert state.values['solver/passes'] == 4
    resumed = together(after, scan, settings, Checkpointing(folder / FILE_NAME, 0, resume=True))
    assert unbroken is not None
    assert resumed is not None
    # As many processes take the same sums in the same order.
    assert_equal(unbroken, resumed, 1e-6 if before == after else EQUAL)
    assert resumed.iterations == unbroken.iterations


@pytest.mark.parametrize('name', CASES)
def test_two_processes_go_on_where_they_were(name: str, tmp_path: Path) -> None:
    check_resumed(dim_scan(), CASES[name], tmp_path, 2, 2)


@pytest.mark.parametrize(('before', 'after'), [(2, 1), (1, 2), (2, 3)])
def test_another_number_of_processes_goes_on(before: int, after: int, tmp_path: Path) -> None:
    check_resumed(dim_scan(), CASES['probe'], tmp_path, before, after)


@pytest.mark.slow
@pytest.mark.parametrize('name', SLOW)
def test_four_processes_go_on_where_they_were(name: str, tmp_path: Path) -> None:
    check_resumed(dim_scan(), SLOW[name] | {'refine_iterations': 12}, tmp_path, 4, 4)


def test_the_weight_of_a_raster_is_in_the_first_process(tmp_path: Path) -> None:
    check_resumed(raster_scan(side=6).scan, {'update_probe': 'on'}, tmp_path, 2, 2)
    state = load_checkpoint(tmp_path / FILE_NAME)[1]
    assert state.images['solver/LatticeGauge/_dose'].shape == (
        state.images['solver/now/canvas_object'].shape
    )


def test_a_checkpoint_that_does_not_fit_ends_all_processes(tmp_path: Path) -> None:
    scan, plan = dim_scan(), Checkpointing(tmp_path / FILE_NAME, 0)
    together(1, scan, {'update_probe': 'on'}, plan, 2)
    resumed = Checkpointing(tmp_path / FILE_NAME, 0, resume=True)
    with pytest.raises(CheckpointError, match='other settings'):
        together(2, scan, {'update_probe': 'off'}, resumed)


def test_other_processes_get_no_images() -> None:
    group, scan = OneProcess(), raster_scan(side=6).scan
    kept: list[Any] = []

    class Keeper(Monitor):
        def wants_state(self, *, last: bool) -> bool:
            return last

        def on_state(self, state: Any) -> None:
            kept.append(state)

    config = InferenceConfig(refine_iterations=4, estimate_errors=False)
    run_reconstruction(NumpyOps(), scan, config, Keeper(), backend='pytorch', communicator=group)
    (state,) = kept
    shape = state.images['solver/now/canvas_object'].shape
    assert len(state.images) == 7
    sent = state.without_images()
    assert not sent.images
    assert sent['solver/now/canvas_object'] is None
    assert all(array.shape[-2:] != shape for array in sent.arrays.values())
    assert sent.arrays.keys() == state.arrays.keys()
