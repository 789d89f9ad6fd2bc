"""Short trials tell a scan whose axes lie wrongly."""

import itertools

import pytest

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from ptychopinn_plugin.solver.trials.orientation_trials import (
    orientation_flags,
    orientation_hints,
    orientation_residuals,
)

WRONG = [
    OrientationConfig(transpose=transpose, flip_x=flip_x, flip_y=flip_y)
    for transpose, flip_x, flip_y in itertools.product((False, True), repeat=3)
]


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return simulate(SimulationConfig(rows=10, columns=12, probe_guess_error=1.5)).scan


def inverse(way: OrientationConfig) -> OrientationConfig:
    """Return what undoes a way: after a transpose, a flip of the other axis."""
    if not way.transpose:
        return way
    return OrientationConfig(transpose=True, flip_x=way.flip_y, flip_y=way.flip_x)


@pytest.mark.parametrize('wrong', WRONG, ids=orientation_flags)
def test_the_right_way_is_found(scan: ScanData, wrong: OrientationConfig) -> None:
    spoilt = orient(scan, inverse(wrong))
    residuals = orientation_residuals(spoilt)
    assert len(residuals) == 8
    assert next(iter(residuals)) == wrong
    assert list(residuals.values()) == sorted(residuals.values())
    asked = orientation_hints(residuals, wrong)[0]
    assert asked.startswith(f'right as it is: {orientation_flags(wrong)} ')
    if wrong != OrientationConfig():
        found = f'looks wrong: {orientation_flags(wrong)} fits better'
        assert orientation_hints(residuals)[0].startswith(found)


def test_a_narrow_win_is_not_taken_for_proof() -> None:
    residuals = {way: 1.0 + index / 100 for index, way in enumerate(WRONG)}
    assert orientation_hints(residuals)[0].startswith('trials cannot tell')


def test_ways_are_named_by_their_flags() -> None:
    way = OrientationConfig(transpose=True, flip_y=True)
    assert orientation_flags(way) == '--transpose --flip-y'
    assert orientation_flags(OrientationConfig()) == 'as in the file'
