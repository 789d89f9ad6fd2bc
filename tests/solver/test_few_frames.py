"""Scans of some dozens of frames: fewer subsets, a longer start, no drift by itself."""

from __future__ import annotations

import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.monitor import Monitor, Progress
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.solver.amplitude_start import PASSES_OF_FEW_FRAMES, AmplitudeStart
from ptychopinn_plugin.solver.estimators.drift import DriftEstimator
from ptychopinn_plugin.solver.prepare import FRAMES_OF_A_SUBSET, prepare_solver
from ptychopinn_plugin.solver.trials.automatic import (
    FEW_FRAMES,
    PASSES_FOR_FEW_FRAMES,
    resolve_automatic,
)
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


@pytest.mark.parametrize(
    ('frames', 'settings', 'refined', 'passes'),
    [
        (FEW_FRAMES - 1, {}, True, PASSES_FOR_FEW_FRAMES),
        (FEW_FRAMES, {}, True, 24),
        (FEW_FRAMES - 1, {}, False, 24),
        (FEW_FRAMES - 1, {'refine_iterations': 10}, True, 10),
        (FEW_FRAMES - 1, {'auto': False}, True, 24),
    ],
)
def test_few_frames_with_a_refined_probe_have_more_passes(
    frames: int, settings: dict[str, object], refined: bool, passes: int
) -> None:
    config = InferenceConfig.model_validate({'auto': True, **settings})
    resolved = resolve_automatic(config, probe_refined=refined, frames=frames)
    assert resolved.refine_iterations == passes


class FirstProgress(Monitor):
    """Keeps the progress of the first pass and stops then."""

    def __init__(self) -> None:
        self.progress: Progress | None = None

    def on_progress(self, progress: Progress) -> None:
        self.progress = progress

    def should_stop(self) -> bool:
        return self.progress is not None


def test_the_passes_of_few_frames_are_those_that_are_planned(ops: Ops) -> None:
    scan = known_scan(side=6).scan
    monitor = FirstProgress()
    with pytest.raises(Cancelled):
        run_reconstruction(ops, scan, InferenceConfig(auto=True), monitor, backend='pytorch')
    assert monitor.progress is not None
    assert monitor.progress.total == PASSES_FOR_FEW_FRAMES
