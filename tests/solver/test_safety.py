"""The solver never ends worse than it began, whatever the scan and the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.ambiguities import aligned
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import scanned_core
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.unknowns import State
from tests.helpers import make_scan
from tests.solver.scans import (
    HARD_SCANS,
    defocused,
    known_scan,
    make_solver,
    object_of,
    probe_of,
    random_probe,
    with_probe,
)

SETTINGS: dict[str, dict[str, Any]] = {
    'default': {},
    'probe': {'update_probe': True},
    'momentum': {'momentum': 0.99, 'update_probe': True},
    'large steps': {'object_step': 2.0, 'probe_step': 2.0, 'update_probe': True},
    'all at once': {
        'object_step': 2.0,
        'probe_step': 2.0,
        'update_probe': True,
        'momentum': 0.99,
        'subsets': 16,
    },
    'object too far': {'object_step': 2.0, 'subsets': 1},
}
TOLERANCE = 1.03


def assert_safe(ops: Ops, scan: ScanData, passes: int, **config: Any) -> None:
    solver = make_solver(ops, scan, **config)
    start = solver.residual()
    for _ in range(passes):
        assert np.isfinite(solver.one_pass())
    end = solver.finish()
    assert np.isfinite(object_of(solver)).all()
    assert np.isfinite(probe_of(solver)).all()
    assert solver.residual() == pytest.approx(end, rel=1e-4)
    assert end <= TOLERANCE * start


@pytest.mark.parametrize('chosen', SETTINGS)
@pytest.mark.parametrize('name', HARD_SCANS)
def test_hard_scans_end_no_worse_than_they_began(name: str, chosen: str) -> None:
    scan = HARD_SCANS[name]()
    for passes in (1, 2, 12):
        assert_safe(NumpyOps(), scan, passes, **SETTINGS[chosen])


@pytest.mark.parametrize('name', ['100 photons', 'random probe', 'sparse', 'one frame too bright'])
def test_hard_scans_on_every_framework(other_ops: Ops, name: str) -> None:
    for passes in (1, 12):
        assert_safe(other_ops, HARD_SCANS[name](), passes, **SETTINGS['all at once'])


PROBES: dict[str, Callable[[Any], Any]] = {
    'right': lambda probe: probe,
    'strong': lambda probe: probe * np.float32(3),
    'defocused': defocused,
    'random': random_probe,
}


@given(
    side=st.integers(2, 4),
    step_px=st.floats(1, 36),
    photons=st.sampled_from([1, 10, 1e3, 1e6]),
    modes=st.integers(1, 3),
    bad_pixels=st.sampled_from([0, 300]),
    probe=st.sampled_from(sorted(PROBES)),
    momentum=st.sampled_from([0, 0.9, 0.99]),
    steps=st.sampled_from([0.5, 1.0, 2.0]),
    subsets=st.integers(1, 8),
    update_probe=st.booleans(),
    passes=st.integers(1, 12),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_scan_ends_no_worse_than_it_began(
    side: int,
    step_px: float,
    photons: float,
    modes: int,
    bad_pixels: int,
    probe: str,
    momentum: float,
    steps: float,
    subsets: int,
    update_probe: bool,
    passes: int,
) -> None:
    scan = make_scan(
        side=side, step_px=step_px, photons=photons, modes=modes, bad_pixels=bad_pixels
    )
    if not scan.counts[:, ~scan.mask].any():
        return
    assert_safe(
        NumpyOps(),
        with_probe(scan, PROBES[probe]),
        passes,
        momentum=momentum,
        object_step=steps,
        probe_step=steps,
        subsets=subsets,
        update_probe=update_probe,
    )


@pytest.mark.parametrize('name', HARD_SCANS)
def test_default_passes_hardly_ever_rise(name: str) -> None:
    # By itself, without the return to an earlier state at the end.
    solver = make_solver(NumpyOps(), HARD_SCANS[name]())
    start = solver.residual()
    for _ in range(10):
        solver.one_pass()
        assert solver.residual() <= 1.05 * start


@pytest.fixture
def solver(ops: Ops) -> AcceleratedSolver:
    """Return a solver on its way."""
    solver = make_solver(ops, known_scan(side=5).scan, update_probe=True)
    for _ in range(6):
        solver.one_pass()
    return solver


def harm(factor: float) -> Callable[[Array], Array]:
    return lambda canvas_object: canvas_object * factor


@pytest.mark.parametrize('factor', [3.0, 1e15, float('nan')])
def test_a_pass_that_went_wrong_is_undone(solver: AcceleratedSolver, factor: float) -> None:
    last = solver.one_pass()
    good = solver.residual()
    assert good < last
    solver.set_object(harm(factor)(solver.canvas_object))
    assert not solver.residual() < 10 * good
    with np.errstate(invalid='ignore'):
        solver.one_pass()
    # Back at the best state known, the one before the pass whose residual was the lowest.
    assert solver.residual() <= 1.05 * last
    assert np.isfinite(object_of(solver)).all()
    for _ in range(12):
        solver.one_pass()
    assert solver.finish() < good


def test_the_state_gone_back_to_has_the_lowest_residual_reported(ops: Ops) -> None:
    solver = make_solver(ops, known_scan(side=5).scan, subsets=1, momentum=0.0)
    reported = [solver.one_pass() for _ in range(4)]
    solver.set_object(harm(5.0)(solver.canvas_object))
    solver.one_pass()
    assert solver.residual() == pytest.approx(min(reported), rel=1e-3)


def test_smaller_steps_follow_a_pass_that_went_wrong(ops: Ops) -> None:
    solver = make_solver(ops, known_scan(side=5).scan, subsets=1)
    for _ in range(4):
        solver.one_pass()
    resets = solver.resets
    solver.set_object(harm(5.0)(solver.canvas_object))
    solver.one_pass()
    assert solver.resets > resets
    before = object_of(solver)
    solver.one_pass()
    moved = object_of(solver) - before
    direction = ops.numpy(solver.direction()[0])
    # At rest, with half of the default step of 0.5.
    np.testing.assert_allclose(moved, 0.25 * direction, atol=1e-5)


@pytest.mark.parametrize('factor', [1.1, 1.3])
def test_finish_goes_back_where_the_last_state_is_worse(
    solver: AcceleratedSolver, factor: float
) -> None:
    last = solver.one_pass()
    solver.set_object(harm(factor)(solver.canvas_object))
    harmed = solver.residual()
    end = solver.finish()
    assert end <= 1.05 * last < harmed
    assert solver.residual() == pytest.approx(end, rel=1e-5)


def test_finish_keeps_the_last_state_where_it_is_best(solver: AcceleratedSolver) -> None:
    state = solver.state
    assert solver.finish() == pytest.approx(solver.residual(), rel=1e-6)
    assert solver.state is state


def test_finish_keeps_an_object_that_a_prior_goes_on_to_mend() -> None:
    """The misfit of few photons is least where some of their noise is fitted."""
    made = simulate(
        SimulationConfig(
            object_kind='grf', seed=722, rows=17, columns=17, photons_per_frame=500, jitter_px=1.0
        )
    )
    config = InferenceConfig(update_probe='off', object_prior=True)
    solver = prepare_solver(NumpyOps(), made.scan, config, lambda: None)
    core = scanned_core(made.scan.positions_px, solver.problem.canvas.origin_px)
    truth = made.ground_truth[core]
    found = []
    for _ in range(24):
        solver.one_pass()
        error = np.linalg.norm(aligned(object_of(solver)[core], truth) - truth)
        found.append((solver.residual(), float(error)))
    last = solver.state
    least_misfit, its_error = min(found)
    assert found[-1][0] > least_misfit
    assert found[-1][1] < 0.97 * its_error
    solver.finish()
    assert solver.state is last


def test_finish_goes_back_from_an_object_that_no_prior_explains() -> None:
    known = known_scan(side=7, noise=True, photons=2e3)
    config = InferenceConfig(update_probe='off', object_prior=True)
    solver = prepare_solver(NumpyOps(), known.scan, config, lambda: None)
    for _ in range(8):
        solver.one_pass()
    good = solver.residual()
    solver.set_object(harm(1.1)(solver.canvas_object))
    assert solver.residual() > 1.02 * good
    assert solver.finish() <= 1.01 * good


def test_finish_before_any_pass_keeps_the_start(ops: Ops) -> None:
    solver = make_solver(ops, make_scan())
    start = solver.residual()
    assert solver.finish() == pytest.approx(start, rel=1e-6)
    np.testing.assert_array_equal(object_of(solver), 1)


def test_finish_can_go_back_to_the_first_state(ops: Ops) -> None:
    solver = make_solver(ops, known_scan(side=5).scan, object_step=2.0, subsets=16)
    begun = known_scan(side=5).ground_truth
    solver.set_object(ops.array(begun))
    first = solver.residual()
    solver.one_pass()
    solver.set_object(harm(2.0)(solver.canvas_object))
    assert solver.finish() <= 1.01 * first + 1e-12
    np.testing.assert_allclose(object_of(solver), begun, atol=1e-3)


def test_what_changes_the_object_leaves_its_velocity(solver: AcceleratedSolver) -> None:
    ops, before = solver.problem.ops, solver.state
    velocity = ops.numpy(before.now.canvas_object - before.earlier.canvas_object)
    assert np.abs(velocity).max() > 1e-4
    solver.set_object(solver.canvas_object + 0.5j)
    after = solver.state
    np.testing.assert_allclose(
        object_of(solver), ops.numpy(before.now.canvas_object) + 0.5j, atol=1e-6
    )
    np.testing.assert_allclose(
        ops.numpy(after.now.canvas_object - after.earlier.canvas_object), velocity, atol=1e-6
    )
    np.testing.assert_array_equal(ops.numpy(after.now.probe), ops.numpy(before.now.probe))
    np.testing.assert_array_equal(ops.numpy(after.earlier.probe), ops.numpy(before.earlier.probe))


def test_a_changed_object_is_not_held_against_earlier_misfits(solver: AcceleratedSolver) -> None:
    resets = solver.resets
    solver.set_object(harm(1.02)(solver.canvas_object))
    solver.one_pass()
    assert solver.resets == resets


def test_a_wild_velocity_is_dropped_within_the_pass(ops: Ops) -> None:
    solver = make_solver(ops, known_scan(side=5).scan, subsets=1)
    for _ in range(4):
        solver.one_pass()
    now = solver.state.now
    solver.state = State(now, now._replace(canvas_object=now.canvas_object - 1.0))
    before = solver.residual()
    assert solver.one_pass() == pytest.approx(before, rel=1e-4)
    assert solver.resets == 1
    moved = object_of(solver) - ops.numpy(now.canvas_object)
    np.testing.assert_allclose(moved, 0.5 * ops.numpy(solver.direction()[0]), atol=1e-5)


@pytest.mark.parametrize('factor', [float('nan'), 1e25])
def test_a_start_that_is_not_finite_is_given_up_at_once(ops: Ops, factor: float) -> None:
    solver = make_solver(ops, make_scan(), subsets=1)
    solver.set_object(harm(factor)(solver.canvas_object))
    with np.errstate(all='ignore'):
        with pytest.raises(ReconstructionError, match='ptychopinn check'):
            solver.one_pass()
        with pytest.raises(ReconstructionError, match='ptychopinn check'):
            solver.finish()
