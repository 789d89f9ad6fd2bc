"""A reconstruction that was interrupted ends where an unbroken one ends, on every backend."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.api import Checkpointing, reconstruct
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import Cancelled, WorkerDiedError, WorkerError
from ptychopinn_plugin.io.checkpoint_archive import load_checkpoint
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.checkpointing import FILE_NAME
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.frame_source import frames_in_file
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.conftest import shared_engine
from tests.helpers import make_scan
from tests.io.npz_files import canonical

EVERYTHING = {
    'probe_modes': 2,
    'update_flux': True,
    'update_background': True,
    'opr_modes': 2,
    'update_positions': 'on',
    'refine_iterations': 9,
    'estimate_errors': False,
}


class StopAfter(Monitor):
    """Requests a stop after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_progress(self, progress: Progress) -> None:
        self.left -= 1

    def should_stop(self) -> bool:
        return self.left <= 0


@pytest.fixture(scope='module')
def scan() -> ScanData:
    # As large as that of the tests of the engine, whose compiled functions are used again.
    return make_scan(side=7, frame_size=32, step_px=4.0, photons=1e5)


def interrupted(
    engine: Engine, scan: ScanData, folder: Path, settings: dict[str, Any], steps: int
) -> None:
    """Reconstruct a scan and stop after some steps."""
    with pytest.raises(Cancelled):
        reconstruct(
            scan,
            engine=engine,
            inference=InferenceConfig(**settings),
            monitor=StopAfter(steps),
            checkpoint=Checkpointing(folder / FILE_NAME, seconds=0),
        )
    assert load_checkpoint(folder / FILE_NAME)[1].values['solver/passes'] == steps


def check_same(found: Reconstruction, wanted: Reconstruction) -> None:
    """Compare all of two results, arrays to 1e-6."""
    for field in dataclasses.fields(Reconstruction):
        one, other = getattr(found, field.name), getattr(wanted, field.name)
        if isinstance(other, np.ndarray):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6, err_msg=field.name)
        elif field.name not in ('seconds', 'estimates', 'quality'):
            assert one == other, field.name
    for name, array in wanted.estimates.arrays().items():
        np.testing.assert_allclose(found.estimates.arrays()[name], array, rtol=1e-6, err_msg=name)


def check_resumed(engine: Engine, scan: ScanData, folder: Path, settings: dict[str, Any]) -> None:
    inference = InferenceConfig(**settings)
    wanted = reconstruct(scan, engine=engine, inference=inference)
    interrupted(engine, scan, folder, settings, 5)
    found = reconstruct(scan, engine=engine, inference=inference, checkpoint=folder, resume=True)
    check_same(found, wanted)
    assert found.iterations == settings['refine_iterations']
    assert load_checkpoint(folder / FILE_NAME)[1].values['solver/passes'] == found.iterations


@pytest.mark.pytorch
def test_the_result_is_that_of_an_unbroken_one(scan: ScanData, tmp_path: Path) -> None:
    check_resumed(shared_engine('pytorch'), scan, tmp_path, EVERYTHING)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_so_is_it_in_tensorflow(scan: ScanData, tmp_path: Path) -> None:
    # Half as much is compiled for one noise model; the variation is tested with the solver.
    settings = EVERYTHING | {'noise_model': 'amplitude', 'opr_modes': 0}
    check_resumed(shared_engine('tensorflow'), scan, tmp_path, settings)


@pytest.mark.pytorch
def test_errors_and_network_follow_the_last_iteration(scan: ScanData, tmp_path: Path) -> None:
    check_resumed(shared_engine('pytorch'), scan, tmp_path, {'refine_iterations': 7, 'auto': True})


@pytest.mark.pytorch
def test_frames_may_stay_in_their_file(scan: ScanData, tmp_path: Path) -> None:
    np.savez(tmp_path / 'scan.npz', **canonical(scan))
    large = load_scan(tmp_path / 'scan.npz', frames_in_memory='no')
    assert frames_in_file(large.counts) is not None
    settings = {'refine_iterations': 8, 'estimate_errors': False}
    check_resumed(shared_engine('pytorch'), large, tmp_path, settings)


@pytest.mark.slow
@pytest.mark.pytorch
def test_iterations_after_the_network_of_patches_go_on(tmp_path: Path) -> None:
    engine, scan = shared_engine('pytorch'), make_scan(frame_size=64, side=4, step_px=6.0)
    model = engine.fit(
        [scan],
        ModelConfig(architecture='cnn', gridsize=1),
        TrainingConfig(epochs=1, batch_size=8, n_groups=8, validation_fraction=0.3),
        Monitor(),
    )
    inference = InferenceConfig(cnn_refine_iterations=4, estimate_errors=False)
    wanted = reconstruct(scan, model=model, engine=engine, inference=inference)
    batches = len(wanted.stages) - 4 + 1
    plan = Checkpointing(tmp_path / FILE_NAME, seconds=0)
    for steps, resume in ((batches + 2, False), (99, True)):
        plan = dataclasses.replace(plan, resume=resume)
        try:
            found = reconstruct(
                scan,
                model=model,
                engine=engine,
                inference=inference,
                monitor=StopAfter(steps),
                checkpoint=plan,
            )
        except Cancelled:
            assert not resume
    assert found.stages == wanted.stages
    check_same(found, wanted)


@pytest.mark.slow
@pytest.mark.pytorch
@pytest.mark.tensorflow
def test_another_backend_goes_on_and_the_result_says_so(scan: ScanData, tmp_path: Path) -> None:
    settings = {'refine_iterations': 8, 'estimate_errors': False}
    interrupted(shared_engine('tensorflow'), scan, tmp_path, settings, 5)
    inference, engine = InferenceConfig(**settings), shared_engine('pytorch')
    found = reconstruct(scan, engine=engine, inference=inference, checkpoint=tmp_path, resume=True)
    wanted = reconstruct(scan, engine=engine, inference=inference)
    remark = 'resumed after iteration 5 with backend pytorch instead of tensorflow'
    assert remark in found.remarks
    lit = np.isfinite(wanted.object_canvas)
    difference = np.abs(found.object_canvas - wanted.object_canvas)[lit]
    assert difference.mean() < 1e-3


@pytest.mark.pytorch
def test_a_worker_process_writes_no_state_of_other_monitors(scan: ScanData) -> None:
    class Keeper(Monitor):
        def wants_state(self, *, last: bool) -> bool:
            return True

    engine = RemoteEngine(shared_engine('pytorch').execution)  # type: ignore[attr-defined]
    with pytest.raises(WorkerError, match='CheckpointMonitor'):
        reconstruct(scan, engine=engine, monitor=Keeper())
    assert engine.worker_pid is None


@pytest.mark.slow
@pytest.mark.pytorch
def test_the_state_of_a_killed_worker_is_there(scan: ScanData, tmp_path: Path) -> None:
    settings = {'refine_iterations': 8, 'estimate_errors': False}
    inference, path = InferenceConfig(**settings), tmp_path / FILE_NAME
    in_process = shared_engine('pytorch')
    engine = RemoteEngine(in_process.execution)  # type: ignore[attr-defined]

    class Killer(Monitor):
        def on_progress(self, progress: Progress) -> None:
            if progress.step == 4:
                assert engine.worker_pid is not None
                os.kill(engine.worker_pid, signal.SIGKILL)

    plan = Checkpointing(path, seconds=0)
    with pytest.raises(WorkerDiedError):
        reconstruct(scan, engine=engine, inference=inference, monitor=Killer(), checkpoint=plan)
    assert 4 <= load_checkpoint(path)[1].number('solver/passes') < 8
    # It goes on in a new worker, and an engine of this process would go on from it too.
    copy = Path(shutil.copytree(tmp_path, tmp_path / 'copy'))
    wanted = reconstruct(scan, engine=in_process, inference=inference)
    with engine:
        for one, folder in ((engine, tmp_path), (in_process, copy)):
            plan = Checkpointing(folder / FILE_NAME, resume=True)
            found = reconstruct(scan, engine=one, inference=inference, checkpoint=plan)
            check_same(found, wanted)


@pytest.mark.pytorch
def test_a_resume_needs_a_folder(scan: ScanData) -> None:
    with pytest.raises(TypeError, match='checkpoint'):
        reconstruct(scan, engine=shared_engine('pytorch'), resume=True)
