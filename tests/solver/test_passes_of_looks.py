"""After how many passes frames whose positions are refined are looked at again."""

from __future__ import annotations

from typing import Any

import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.estimators import position_refinement
from ptychopinn_plugin.solver.estimators.position_look import FrameLook, look_frames
from ptychopinn_plugin.solver.prepare import prepare_solver
from tests.solver.scans import known_scan


@pytest.mark.parametrize(
    ('settled_px', 'still_px', 'passes'),
    [(0.0, 0.0, [4, 5, 6, 7, 8, 9]), (10.0, 0.0, [4, 6, 8]), (10.0, 10.0, [4, 8])],
)
def test_frames_are_looked_at_less_often_as_they_settle(
    monkeypatch: pytest.MonkeyPatch, settled_px: float, still_px: float, passes: list[int]
) -> None:
    looked: list[int] = []

    def recorded(solver: AcceleratedSolver, *arguments: Any) -> FrameLook:
        looked.append(solver.passes)
        return look_frames(solver, *arguments)

    monkeypatch.setattr(position_refinement, 'look_frames', recorded)
    monkeypatch.setattr(position_refinement, 'LOOKS', (4,))
    monkeypatch.setattr(position_refinement, 'SETTLED_PX', settled_px)
    monkeypatch.setattr(position_refinement, 'STILL_PX', still_px)
    config = InferenceConfig(
        update_probe='off', update_positions='on', position_constraint='no_affine'
    )
    # Photon noise, so that each look moves the frames by a little.
    scan = known_scan(side=6, noise=True, photons=1e4).scan
    solver = prepare_solver(NumpyOps(), scan, config, lambda: None)
    for _ in range(9):
        solver.one_pass()
    assert looked == passes
