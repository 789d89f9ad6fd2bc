"""Scans of some dozens of frames: fewer subsets, a longer start, no drift by itself."""

from __future__ import annotations

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.solver.amplitude_start import PASSES_OF_FEW_FRAMES, AmplitudeStart
from ptychopinn_plugin.solver.estimators.drift import DriftEstimator
from ptychopinn_plugin.solver.prepare import FRAMES_OF_A_SUBSET, prepare_solver
from tests.solver.scans import core_score, known_scan, prepared


def test_few_frames_are_treated_with_care(ops: Ops) -> None:
    scan = known_scan(side=6).scan
    config = InferenceConfig(auto=True)
    solver = prepare_solver(ops, scan, config, lambda: None)
    assert len(solver.problem.subsets) == scan.frame_count // FRAMES_OF_A_SUBSET == 2
    (start,) = (one for one in solver.estimators if isinstance(one, AmplitudeStart))
    assert start.passes == PASSES_OF_FEW_FRAMES
    assert not any(isinstance(one, DriftEstimator) for one in solver.estimators)


def test_few_frames_come_out_right(ops: Ops) -> None:
    known = known_scan(side=8, noise=True, photons=1e6)
    for settings in ({'update_probe': 'off'}, {'update_probe': 'auto'}):
        solver = prepared(ops, known.scan, 24, **settings)
        solver.finish()
        assert core_score(solver, known).nrmse < 0.03
