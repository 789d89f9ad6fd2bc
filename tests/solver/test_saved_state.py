"""A solver goes on from its saved state as if it had never been interrupted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import CheckpointError
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.amplitude_start import AmplitudeStart
from ptychopinn_plugin.solver.early_stop import EarlyStop
from ptychopinn_plugin.solver.estimators.estimator import Estimator
from ptychopinn_plugin.solver.estimators.position_refinement import PositionRefiner
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.trials.probe_start import StartOfProbe
from tests.helpers import make_scan
from tests.solver.scans import raster_scan

EVERYTHING = {
    'update_probe': 'on',
    'probe_modes': 2,
    'update_flux': True,
    'update_background': True,
    'opr_modes': 2,
    'update_positions': 'on',
    'center_probe': True,
    'probe_power': 1e5,
    'remove_grid_artifacts': True,
    'total_variation': 1e-3,
}
# One noise model, for which a framework compiles half as much.
COMPILED = EVERYTHING | {'noise_model': 'amplitude'}
# Computed from the scan, the arguments, the state and the device when they are needed.
NO_STATE = (
    'ops', 'scan', 'subsets', 'found', 'factors',
    '_bins', '_counts', '_harmonics', '_gains', '_terms', '_free_bytes',
)  # fmt: skip
# Without a state: nothing of them changes, or changes what is saved elsewhere.
CONSTANT = {AmplitudeStart, StartOfProbe}


def prepare(ops: Ops, scan: ScanData, settings: dict[str, Any]) -> AcceleratedSolver:
    return prepare_solver(ops, scan, InferenceConfig(**settings), lambda: None)


def after(solver: AcceleratedSolver, passes: int) -> AcceleratedSolver:
    for _ in range(passes):
        solver.one_pass()
    return solver


def through_json(state: SavedState) -> SavedState:
    """Return a state as a file would give it back."""
    return dataclasses.replace(state, values=json.loads(json.dumps(state.values)))


def check_same(found: SavedState, wanted: SavedState) -> None:
    assert found.values == wanted.values
    for some, others in ((found.arrays, wanted.arrays), (found.images, wanted.images)):
        assert some.keys() == others.keys()
        for name, array in others.items():
            np.testing.assert_allclose(some[name], array, rtol=1e-6, err_msg=name)


def differences(one: object, other: object, name: str) -> Iterator[str]:
    """Yield the names of attributes in which two objects differ, through all their parts."""
    if isinstance(one, np.ndarray):
        if not (isinstance(other, np.ndarray) and np.array_equal(one, other)):
            yield name
    elif dataclasses.is_dataclass(one) and not isinstance(one, ScanData):
        for attribute, value in vars(one).items():
            if not callable(value) and attribute not in NO_STATE:
                yield from differences(value, getattr(other, attribute), f'{name}.{attribute}')
    elif isinstance(one, int | float | str | list | np.generic | None) and one != other:
        yield name


def test_a_resumed_solver_ends_where_an_unbroken_one_ends(ops: Ops) -> None:
    scan = make_scan(side=6, step_px=4.0)
    unbroken, resumed = (prepare(ops, scan, COMPILED) for _ in range(2))
    resumed.restore(through_json(after(unbroken, 5).saved_state()))
    after(unbroken, 3)
    after(resumed, 3)
    check_same(resumed.saved_state(), unbroken.saved_state())
    assert resumed.finish() == pytest.approx(unbroken.finish(), rel=1e-6)
    check_same(resumed.saved_state(), unbroken.saved_state())
    assert resumed.remarks() == unbroken.remarks()


@pytest.mark.parametrize(
    'settings',
    [
        {'update_probe': 'off'},
        {'update_probe': 'off', 'object_prior': False},
        {'update_probe': 'on', 'noise_model': 'amplitude', 'object_amplitude_max': 1.0},
        {'auto': True},
    ],
    ids=['fixed probe', 'no prior', 'limits', 'auto'],
)
def test_so_it_does_with_other_settings(settings: dict[str, Any]) -> None:
    # Few photons, so that subsets are joined.
    scan = make_scan(side=6, frame_size=24, step_px=4.0, photons=1e3)
    unbroken, resumed = (prepare(NumpyOps(), scan, settings) for _ in range(2))
    after(unbroken, 8)
    assert unbroken.problem.frames.merges > 0
    resumed.restore(through_json(unbroken.saved_state()))
    after(unbroken, 6)
    after(resumed, 6)
    check_same(resumed.saved_state(), unbroken.saved_state())


def estimators_of(kind: type[Estimator]) -> set[type[Estimator]]:
    below = kind.__subclasses__()
    return {*below}.union(*map(estimators_of, below))


def refiner(solver: AcceleratedSolver) -> PositionRefiner:
    return next(one for one in solver.estimators if isinstance(one, PositionRefiner))


def test_no_estimator_forgets_anything() -> None:
    scan = raster_scan(side=6).scan
    solvers: list[AcceleratedSolver] = []
    for settings in (EVERYTHING, EVERYTHING | {'auto': True, 'update_positions': 'auto'}):
        unbroken = prepare(NumpyOps(), scan, settings)
        solvers.append(unbroken)
        for _ in range(4):
            resumed = prepare(NumpyOps(), scan, settings)
            # As after a pass that diverged and one that turned the scan.
            after(unbroken, 2)._step_scale /= 2
            refiner(unbroken)._affine_moves = True
            resumed.restore(through_json(unbroken.saved_state()))
            pairs = zip(
                (unbroken, *unbroken.estimators, unbroken.prior),
                (resumed, *resumed.estimators, resumed.prior),
                strict=True,
            )
            assert [
                different
                for one, other in pairs
                for different in differences(one, other, type(one).__name__)
            ] == []
    seen = {type(one) for solver in solvers for one in solver.estimators}
    assert estimators_of(Estimator) == seen | CONSTANT


def test_the_rule_of_early_stopping_goes_on() -> None:
    rule, other = EarlyStop(0.1, [3.0, 2.0]), EarlyStop(0.1)
    state = rule.saved_state()
    rule.residuals.append(1.0)
    other.restore(through_json(state))
    assert other.residuals == [3.0, 2.0]


def test_a_state_of_another_canvas_is_refused() -> None:
    state = prepare(NumpyOps(), make_scan(side=4), {}).saved_state()
    with pytest.raises(CheckpointError, match='shape'):
        prepare(NumpyOps(), make_scan(side=5), {}).restore(state)


def test_other_settings_start_with_their_own_momentum_and_no_best_pass() -> None:
    scan = make_scan(side=4)
    before = after(prepare(NumpyOps(), scan, {'momentum': 0.0}), 3)
    resumed = prepare(NumpyOps(), scan, {'momentum': 0.9, 'object_amplitude_max': 0.3})
    resumed.restore(before.saved_state())
    resumed.forget_misfits()
    reset = resumed.resets
    # Far above the best misfit so far: without forgetting it the passes would be reverted.
    resumed.one_pass()
    assert resumed.resets == reset
    assert np.abs(resumed.problem.ops.numpy(resumed.canvas_object)).max() <= 0.3 + 1e-6


class Part(Stateful):
    saved_fields = ('number', 'array', 'list')

    def __init__(self) -> None:
        self.number: np.complex64 | None = None
        self.array, self.list = np.zeros(2), [1.0]


class Whole(Stateful):
    saved_fields = ('part', 'name')

    def __init__(self) -> None:
        self.part, self.name = Part(), ''


def test_objects_and_their_parts_are_restored_and_share_nothing() -> None:
    one, other = Whole(), Whole()
    one.part.number, one.name = np.complex64(1 + 2j), 'a'
    state = one.saved_state()
    assert state.text('name') == 'a'
    for name, kind in (('name', state.number), ('part/list', state.text)):
        with pytest.raises(TypeError, match=name):
            kind(name)
    assert {*state.arrays} == {'part/number', 'part/array'}
    assert state.values == {'part/list': [1.0], 'name': 'a'}
    other.restore(through_json(state))
    assert other.name == 'a'
    assert isinstance(other.part.number, np.complex64)
    assert other.part.number == np.complex64(1 + 2j)
    one.part.array += 1
    one.part.list.append(2.0)
    other.part.array += 3
    assert state.arrays['part/array'].tolist() == [0, 0]
    assert state['part/list'] == [1.0]
    with pytest.raises(KeyError):
        other.restore(SavedState.of(name='b'))
