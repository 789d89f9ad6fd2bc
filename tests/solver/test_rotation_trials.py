"""A detector that is turned by some degrees is named, a straight one is not."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.solver.trials.orientation_trials import trial_frames, trial_residual
from ptychopinn_plugin.solver.trials.rotation_trials import rotated, rotation_hint
from tests.helpers import make_scan


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=32, side=8, step_px=4.0)


def hint(scan: ScanData, way: OrientationConfig) -> tuple[str, ...]:
    as_given = orient(scan, way)
    residual = trial_residual(trial_frames(as_given), OrientationConfig())
    return rotation_hint(scan, way, residual)


def test_a_straight_detector(scan: ScanData) -> None:
    assert hint(scan, OrientationConfig()) == ()


@pytest.mark.parametrize('angle', [-5.0, 5.0])
@pytest.mark.parametrize('way', [OrientationConfig(), OrientationConfig(flip_x=True)])
def test_a_turned_detector(scan: ScanData, angle: float, way: OrientationConfig) -> None:
    # A flip undoes itself: the file has what orienting it makes right but for the angle.
    (found,) = hint(orient(rotated(scan, angle), way), way)
    assert found.startswith(f'looks turned: positions turned by {"-" if angle > 0 else "+"}')


def test_positions_turn_about_their_mean(scan: ScanData) -> None:
    there = rotated(scan, 5.0)
    np.testing.assert_allclose(rotated(there, -5.0).positions_px, scan.positions_px, atol=1e-9)
    moved = np.linalg.norm(there.positions_px - scan.positions_px, axis=1)
    away = np.linalg.norm(scan.positions_px - scan.positions_px.mean(axis=0), axis=1)
    np.testing.assert_allclose(moved, 2 * away * np.sin(np.deg2rad(2.5)))
