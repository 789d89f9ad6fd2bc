"""When a state is kept, what goes on from it, and with which other settings."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import Cancelled, CheckpointError
from ptychopinn_plugin.io.checkpoint_archive import (
    CheckpointHeader,
    load_checkpoint,
    save_checkpoint,
    scan_fingerprint,
)
from ptychopinn_plugin.monitor import Monitor, PartMonitor, Progress, Resumption
from ptychopinn_plugin.networks import checkpointing
from ptychopinn_plugin.networks.checkpointing import (
    OF_EACH_PASS,
    OF_THE_END,
    Checkpointing,
    CheckpointMonitor,
)
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.saved_state import SavedState
from ptychopinn_plugin.scan import Reconstruction, ScanData
from tests.helpers import make_scan

QUICK = {'refine_iterations': 6, 'estimate_errors': False, 'update_probe': 'off'}


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(side=4, frame_size=16, step_px=3.0)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(checkpointing, 'time', SimpleNamespace(monotonic=clock))
    return clock


class StopAfter(Monitor):
    """Requests a stop after some steps, and keeps their numbers."""

    def __init__(self, steps: int = 99) -> None:
        self.most, self.steps = steps, list[tuple[int, int]]()

    def on_progress(self, progress: Progress) -> None:
        self.steps.append((progress.step, progress.total))

    def should_stop(self) -> bool:
        return len(self.steps) >= self.most


def header(scan: ScanData, **settings: Any) -> CheckpointHeader:
    inference = InferenceConfig(**(QUICK | settings))
    return CheckpointHeader(backend='pytorch', scan=scan_fingerprint(scan), inference=inference)


def run(
    scan: ScanData, plan: Checkpointing, monitor: Monitor | None = None, **settings: Any
) -> Reconstruction:
    inner = monitor or Monitor()
    keeper = CheckpointMonitor(inner, plan, lambda: header(scan, **settings))
    inference = InferenceConfig(**(QUICK | settings))
    return run_reconstruction(NumpyOps(), scan, inference, keeper, backend='pytorch')


def interrupt(scan: ScanData, plan: Checkpointing, steps: int, **settings: Any) -> None:
    with pytest.raises(Cancelled):
        run(scan, plan, StopAfter(steps), **settings)


def every_pass(folder: Path, **fields: Any) -> Checkpointing:
    return Checkpointing(folder / 'a.checkpoint', seconds=0, **fields)


def resumed(folder: Path) -> Checkpointing:
    return every_pass(folder, resume=True)


def test_checkpoints_come_after_a_while_and_cost_little(tmp_path: Path, clock: Clock) -> None:
    keeper = CheckpointMonitor(
        Monitor(), Checkpointing(tmp_path / 'a', seconds=10), lambda: header(make_scan(side=2))
    )
    assert not keeper.wants_state(last=False)
    assert keeper.wants_state(last=True)
    clock.now += 10
    assert keeper.wants_state(last=False)
    keeper.on_state(SavedState.of(passes=1))
    assert load_checkpoint(tmp_path / 'a')[1].values == {'passes': 1}
    assert not keeper.wants_state(last=False)
    # One that took half a second: at least 25 s to the next.
    keeper._cost = 0.5
    clock.now += 20
    assert not keeper.wants_state(last=False)
    clock.now += 5
    assert keeper.wants_state(last=False)


def test_a_reconstruction_has_one_after_its_last_pass(tmp_path: Path, scan: ScanData) -> None:
    run(scan, Checkpointing(tmp_path / 'a'))
    assert load_checkpoint(tmp_path / 'a')[1].values['solver/passes'] == 6
    run(scan, Checkpointing(tmp_path / 'b', until_done=True))
    assert not (tmp_path / 'b').exists()


def test_a_resumed_one_counts_on_and_ends_as_an_unbroken_one(
    tmp_path: Path, scan: ScanData
) -> None:
    wanted = run(scan, Checkpointing(tmp_path / 'unbroken'))
    interrupt(scan, every_pass(tmp_path), 4)
    monitor = StopAfter()
    found = run(scan, resumed(tmp_path), monitor)
    assert monitor.steps == [(5, 6), (6, 6)]
    np.testing.assert_array_equal(found.object_canvas, wanted.object_canvas)
    np.testing.assert_array_equal(found.residual, wanted.residual)
    assert found.stages == wanted.stages
    assert found.remarks == wanted.remarks


def test_seconds_count_from_the_first_beginning(tmp_path: Path, scan: ScanData) -> None:
    interrupt(scan, every_pass(tmp_path), 4)
    path = tmp_path / 'a.checkpoint'
    head, state = load_checkpoint(path)
    values = {**state.values, 'so far/seconds': 1000.0}
    save_checkpoint(path, head, dataclasses.replace(state, values=values))
    assert run(scan, resumed(tmp_path)).seconds > 1000


def test_more_iterations_are_those_of_a_longer_one(tmp_path: Path, scan: ScanData) -> None:
    wanted = run(scan, Checkpointing(tmp_path / 'unbroken'), refine_iterations=9)
    run(scan, every_pass(tmp_path))
    found = run(scan, resumed(tmp_path), refine_iterations=9)
    np.testing.assert_array_equal(found.object_canvas, wanted.object_canvas)
    assert found.remarks[0] == 'resumed after iteration 6 with refine_iterations 9 instead of 6'
    # And fewer than were done end it at once.
    fewer = run(scan, resumed(tmp_path), refine_iterations=2)
    np.testing.assert_array_equal(fewer.object_canvas, wanted.object_canvas)


def test_other_steps_and_constraints_are_used_and_kept_in_the_result(
    tmp_path: Path, scan: ScanData
) -> None:
    interrupt(scan, every_pass(tmp_path), 3)
    changed: dict[str, Any] = {'object_step': 0.2, 'object_amplitude_max': 0.5}
    interrupt(scan, resumed(tmp_path), 2, **changed)
    found = run(scan, resumed(tmp_path), **changed, refine_iterations=8)
    assert found.remarks[:2] == (
        'resumed after iteration 3 with object_amplitude_max 0.5 instead of 0.0, object_step 0.2 '
        'instead of 0.5',
        'resumed after iteration 5 with refine_iterations 8 instead of 6',
    )
    lit = found.object_canvas[np.isfinite(found.object_canvas)]
    assert np.abs(lit).max() < 0.6


def test_passes_that_were_left_out_stay_so(tmp_path: Path, scan: ScanData) -> None:
    settings: dict[str, Any] = {'stop_early': True, 'refine_iterations': 200, 'subsets': 1}
    wanted = run(scan, every_pass(tmp_path), **settings)
    assert wanted.iterations < 200
    again = run(scan, resumed(tmp_path), **settings)
    assert again.remarks == wanted.remarks
    assert again.iterations == wanted.iterations
    more = wanted.iterations + 2
    longer = run(scan, resumed(tmp_path), **(settings | {'refine_iterations': more}))
    assert longer.iterations == wanted.iterations
    unlimited: dict[str, Any] = settings | {'stop_early': False, 'refine_iterations': more}
    assert run(scan, resumed(tmp_path), **unlimited).iterations == more


@pytest.mark.parametrize(
    ('settings', 'reason'),
    [
        ({'update_probe': 'on'}, 'update_probe on instead of off'),
        ({'opr_modes': 1, 'subsets': 2}, 'opr_modes 1 instead of 0, subsets 2 instead of 8'),
    ],
)
def test_what_is_estimated_cannot_change(
    tmp_path: Path, scan: ScanData, settings: dict[str, Any], reason: str
) -> None:
    interrupt(scan, every_pass(tmp_path), 3)
    with pytest.raises(CheckpointError, match=reason):
        run(scan, resumed(tmp_path), **settings)


def test_another_scan_is_refused(tmp_path: Path, scan: ScanData) -> None:
    interrupt(scan, every_pass(tmp_path), 3)
    moved = dataclasses.replace(scan, positions_px=scan.positions_px + 0.01)
    with pytest.raises(CheckpointError, match='another scan'):
        run(moved, resumed(tmp_path))
    # For a batch it is as if there were none.
    found = run(moved, every_pass(tmp_path, resume=True, until_done=True))
    assert found.iterations == 6


def test_another_model_is_refused(tmp_path: Path, scan: ScanData) -> None:
    interrupt(scan, every_pass(tmp_path), 3)
    other = header(scan).model_copy(update={'model': 'b' * 64})
    with pytest.raises(CheckpointError, match='another model'):
        CheckpointMonitor(Monitor(), resumed(tmp_path), lambda: other).resumption()


def test_without_a_checkpoint_it_starts_from_the_beginning(
    tmp_path: Path, scan: ScanData, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, 'ptychopinn_plugin'):
        found = run(scan, resumed(tmp_path))
    assert found.iterations == 6
    assert 'starting from the beginning' in caplog.text


@pytest.mark.parametrize('part', ['solver/now/', 'solver/problem/', 'start/', 'early_stop/'])
def test_a_state_with_something_missing_is_refused(
    tmp_path: Path, scan: ScanData, part: str
) -> None:
    interrupt(scan, every_pass(tmp_path), 3)
    head, state = load_checkpoint(tmp_path / 'a.checkpoint')
    left = SavedState(
        {name: one for name, one in state.arrays.items() if not name.startswith(part)},
        {name: one for name, one in state.values.items() if not name.startswith(part)},
        {name: one for name, one in state.images.items() if not name.startswith(part)},
    )
    save_checkpoint(tmp_path / 'a.checkpoint', head, left)
    with pytest.raises(CheckpointError, match='none of this reconstruction'):
        run(scan, resumed(tmp_path))


def test_an_earlier_checkpoint_is_set_aside(tmp_path: Path, scan: ScanData) -> None:
    interrupt(scan, every_pass(tmp_path / 'new'), 3)
    first = (tmp_path / 'new' / 'a.checkpoint').read_bytes()
    run(scan, every_pass(tmp_path / 'new'))
    kept = [path for path in (tmp_path / 'new').iterdir() if path.name != 'a.checkpoint']
    assert [path.read_bytes() for path in kept] == [first]


def test_one_that_cannot_be_written_is_a_warning(
    tmp_path: Path, scan: ScanData, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / 'file').touch()
    with caplog.at_level(logging.WARNING, 'ptychopinn_plugin'):
        found = run(scan, every_pass(tmp_path / 'file'))
    assert found.iterations == 6
    assert 'goes on without this checkpoint' in caplog.text


def test_settings_that_may_change_are_settings() -> None:
    assert {*InferenceConfig.model_fields} >= OF_THE_END | OF_EACH_PASS
    assert not OF_THE_END & OF_EACH_PASS


def test_part_of_a_job_keeps_its_state_where_the_whole_does(tmp_path: Path) -> None:
    class Keeper(Monitor):
        def __init__(self) -> None:
            self.kept: list[SavedState] = []

        def wants_state(self, *, last: bool) -> bool:
            return last

        def on_state(self, state: SavedState) -> None:
            self.kept.append(state)

        def resumption(self) -> Resumption | None:
            return Resumption(self.kept[0])

    keeper = Keeper()
    part = PartMonitor(keeper)
    assert part.wants_state(last=True)
    assert not part.wants_state(last=False)
    state = SavedState.of(a=1)
    part.on_state(state)
    found = part.resumption()
    assert found is not None
    assert found.state is state
    assert Monitor().resumption() is None
