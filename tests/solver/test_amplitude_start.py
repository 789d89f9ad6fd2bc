"""The noise model after the first passes: the next pass measures the state that it begins with."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.noise_models import POISSON
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.solver import Problem
from ptychopinn_plugin.solver.amplitude_start import PASSES_OF_FEW_FRAMES
from ptychopinn_plugin.solver.kept_states import UNMEASURED
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.subset_sums import Sweep
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.solver.scans import known_scan


def test_the_noise_model_changes_without_a_look_at_all_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = []
    misfit = Problem.misfit

    def counted(problem: Problem, index: int, unknowns: Unknowns) -> float:
        measured.append(index)
        return misfit(problem, index, unknowns)

    monkeypatch.setattr(Problem, 'misfit', counted)
    config = InferenceConfig(update_probe='on')
    scan = known_scan(side=6).scan
    solver = prepare_solver(NumpyOps(), scan, config, lambda: None)
    passes = PASSES_OF_FEW_FRAMES
    for _ in range(passes):
        solver.one_pass()
    assert solver.problem.noise is POISSON
    assert solver.saved_state().part('misfits').number('best') == UNMEASURED
    del measured[:]
    residual = solver.one_pass()
    assert not measured
    found = solver.saved_state().part('misfits')
    assert found.number('first') == found.number('best')
    assert found.number('best') == pytest.approx(residual * solver.problem.total_counts)


def test_a_pass_that_diverges_after_the_change_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = InferenceConfig(update_probe='on')
    solver = prepare_solver(NumpyOps(), known_scan(side=6).scan, config, lambda: None)
    for _ in range(PASSES_OF_FEW_FRAMES):
        solver.one_pass()
    before, sweep = solver.canvas_object.copy(), Problem.sweep

    def diverged(problem: Problem, ahead: Unknowns, index: int, *, with_probe: bool) -> Sweep:
        found = sweep(problem, ahead, index, with_probe=with_probe)
        return dataclasses.replace(found, misfit=math.inf)

    monkeypatch.setattr(Problem, 'sweep', diverged)
    solver.one_pass()
    np.testing.assert_array_equal(solver.canvas_object, before)
