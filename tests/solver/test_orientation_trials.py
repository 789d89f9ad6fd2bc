"""Short trials tell a scan whose axes lie wrongly."""

import dataclasses
import itertools

import pytest

from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.solver.orientation_trials import (
    Orientation,
    orientation_hints,
    orientation_residuals,
)

WRONG = [Orientation(*ways) for ways in itertools.product((False, True), repeat=3)]


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return simulate(SimulationConfig(rows=10, columns=12, probe_guess_error=1.5)).scan


def inverse(way: Orientation) -> Orientation:
    """Return what undoes a way: after a transpose, a flip of the other axis."""
    if not way.transpose:
        return way
    return Orientation(transpose=True, flip_x=way.flip_y, flip_y=way.flip_x)


@pytest.mark.parametrize('wrong', WRONG, ids=str)
def test_the_right_way_is_found(scan: ScanData, wrong: Orientation) -> None:
    spoilt = orient(scan, **dataclasses.asdict(inverse(wrong)))
    residuals = orientation_residuals(spoilt)
    assert len(residuals) == 8
    assert next(iter(residuals)) == wrong
    assert list(residuals.values()) == sorted(residuals.values())
    asked = orientation_hints(residuals, wrong)[0]
    assert asked.startswith(f'right as it is: {wrong} ')
    if wrong != Orientation():
        assert orientation_hints(residuals)[0].startswith(f'looks wrong: {wrong} fits better')


def test_a_narrow_win_is_not_taken_for_proof() -> None:
    residuals = {way: 1.0 + index / 100 for index, way in enumerate(WRONG)}
    assert orientation_hints(residuals)[0].startswith('trials cannot tell')


def test_ways_are_named_by_their_flags() -> None:
    assert str(Orientation(True, False, True)) == '--transpose --flip-y'
    assert str(Orientation()) == 'as in the file'
