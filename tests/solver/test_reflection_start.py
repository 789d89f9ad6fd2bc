"""The start of sparse scans from reflections, kept only where held-out photons support it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.solver import reflection_start
from ptychopinn_plugin.solver.estimators.local_prior import LocalPrior
from ptychopinn_plugin.solver.overlap import SPARSE, frame_overlap
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.reflected_object import reflected_object
from ptychopinn_plugin.solver.reflection_start import apply_start, find_reflection_start, settle
from ptychopinn_plugin.solver.start import Start, find_start
from tests.helpers import KnownScan, make_known_scan, make_scan
from tests.solver.scans import core_score, defocused, with_positions, with_probe

REFLECTIONS = 60


def sparse_scan(**options: Any) -> KnownScan:
    return make_known_scan(**{'side': 4, 'step_px': 9.0, 'photons': 1e6} | options)


def config(**settings: Any) -> InferenceConfig:
    given = {'update_probe': 'off', 'reflections': REFLECTIONS, 'estimate_errors': False}
    return InferenceConfig(**given | settings)


def reconstructed(scan: ScanData, **settings: Any) -> Reconstruction:
    return run_reconstruction(NumpyOps(), scan, config(**settings), Monitor(), backend='pytorch')


def test_overlap_counts_the_frames_at_a_place() -> None:
    scan = make_scan(side=3)
    together = with_positions(scan, lambda positions: positions[:1] + 1e-3 * np.arange(9)[:, None])
    assert frame_overlap(together) == pytest.approx(9)
    apart = with_positions(scan, lambda positions: positions * 40)
    assert frame_overlap(apart) == pytest.approx(1, rel=1e-3)
    assert frame_overlap(sparse_scan().scan) < SPARSE < frame_overlap(make_scan(side=5))


def test_a_sparse_scan_ends_nearer_to_its_object(ops: Ops) -> None:
    known = sparse_scan()
    found = find_reflection_start(ops, known.scan, config(), Start(), lambda: None)
    assert found is not None
    assert found.gains
    started, empty = (
        prepare_solver(ops, known.scan, config(), lambda: None, start=Start(reflected=reflected))
        for reflected in (True, False)
    )
    apply_start(started, found)
    assert isinstance(started.prior, LocalPrior)
    for _ in range(12):
        started.one_pass()
        empty.one_pass()
    assert core_score(started, known).nrmse < 0.4 * core_score(empty, known).nrmse


def test_a_refined_probe_comes_along() -> None:
    known = sparse_scan(side=5)
    scan = with_probe(known.scan, lambda probe: defocused(probe, 20))
    start = Start(refines=True)
    inference = config(update_probe='on')
    found = find_reflection_start(NumpyOps(), scan, inference, start, lambda: None)
    assert found is not None
    solver = prepare_solver(NumpyOps(), scan, inference, lambda: None, start=start)
    apply_start(solver, found)
    light = np.sum(np.abs(solver.probe) ** 2) / np.sum(np.abs(found.solver.probe) ** 2)
    assert light == pytest.approx(1 / reflection_start.KEPT_PHOTONS, rel=1e-5)
    assert (
        solver.residual()
        < 0.3 * prepare_solver(NumpyOps(), scan, inference, lambda: None, start=start).residual()
    )


@pytest.mark.parametrize(('defocus', 'held'), [(0, True), (20, False)])
def test_a_right_probe_is_held_where_the_settings_leave_that_open(
    ops: Ops, defocus: float, *, held: bool
) -> None:
    scan = with_probe(sparse_scan(side=5).scan, lambda probe: defocused(probe, defocus))
    inference = config(update_probe='auto')
    start = find_start(ops, scan, inference, lambda: None, None)
    assert start.probe is not None
    found = find_reflection_start(ops, scan, inference, start, lambda: None)
    assert found is not None
    settle(start, found)
    assert start.reflected
    assert start.refines == (not held)
    assert (start.probe is None) == held
    assert ('which is held' in found.remark) == held


def test_a_probe_that_is_to_be_refined_is_refined() -> None:
    start, scan = Start(refines=True), sparse_scan(side=5).scan
    found = find_reflection_start(NumpyOps(), scan, config(update_probe='on'), start, lambda: None)
    settle(start, found)
    assert start.refines


def test_a_worse_object_is_left_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = sparse_scan(photons=1e4).scan
    without = reconstructed(scan, reflections=0, refine_iterations=9)

    def wrong(solver: Any, _: int) -> Any:
        rng = np.random.default_rng(0)
        return np.exp(2j * np.pi * rng.random(solver.canvas_object.shape)).astype(np.complex64)

    monkeypatch.setattr(reflection_start, 'reflected_object', wrong)
    monkeypatch.setattr(reflection_start, 'PASSES', 1)
    found = reconstructed(scan, refine_iterations=9)
    np.testing.assert_array_equal(found.object_canvas, without.object_canvas)
    assert any('do not explain them better' in remark for remark in found.remarks)


def test_the_result_says_what_it_started_from() -> None:
    known = sparse_scan()
    found = reconstructed(known.scan, refine_iterations=8)
    assert any('started from reflections' in remark for remark in found.remarks)
    without = reconstructed(known.scan, refine_iterations=8, reflections=0)
    assert found.residual[-1] < without.residual[-1]


@pytest.mark.parametrize(
    ('side', 'settings'),
    [
        (5, {'step_px': 5.0}),
        (4, {'reflections': 0}),
        (4, {'refine_iterations': 0}),
        (4, {'initial': 'product'}),
    ],
)
def test_other_scans_are_left_alone(
    side: int, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = settings.pop('step_px', 9.0)
    scan = sparse_scan(side=side, step_px=step).scan
    # Would raise if it were called.
    monkeypatch.setattr(reflection_start, 'prepare_solver', None)
    inference = config(**settings)
    assert find_reflection_start(NumpyOps(), scan, inference, Start(), lambda: None) is None


def test_waves_that_do_not_fit_are_not_reflected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflection_start, 'MOST_BYTES', 1000)
    scan = sparse_scan().scan
    assert find_reflection_start(NumpyOps(), scan, config(), Start(), lambda: None) is None


def test_a_stop_is_looked_for_during_the_reflections(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise Cancelled('stopped')

    scan = sparse_scan().scan
    solver = prepare_solver(NumpyOps(), scan, config(), check)
    with pytest.raises(Cancelled):
        reflected_object(solver, REFLECTIONS)


@pytest.mark.parametrize('case', ['dark', 'one place'])
def test_scans_without_information_end(case: str) -> None:
    scan = sparse_scan(photons=1).scan
    if case == 'one place':
        scan = with_positions(scan, lambda positions: positions[:1] + 1e-3 * np.arange(16)[:, None])
    found = reconstructed(scan, refine_iterations=3)
    assert np.isfinite(found.residual).all()
