"""When a common change of the positions is looked for, and what is not taken for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.noise_models import NOISE_MODELS, NoiseModel
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.estimators import position_refinement
from ptychopinn_plugin.solver.estimators.affine import AffineLook, look_affine
from ptychopinn_plugin.solver.estimators.position_columns import (
    Geometry,
    affine_columns,
    object_slopes,
)
from ptychopinn_plugin.solver.estimators.position_look import significant
from ptychopinn_plugin.solver.prepare import prepare_solver
from tests.solver.scans import known_scan


def _solver(ops: Ops, photons: float, **settings: Any) -> AcceleratedSolver:
    scan = known_scan(side=6, noise=True, photons=photons).scan
    return prepare_solver(ops, scan, InferenceConfig(**settings), lambda: None)


def _score_of_gain(solver: AcceleratedSolver, noise: NoiseModel) -> float:
    """Return the correlation of residual and modulus over all frames."""
    problem, ops, now = solver.problem, solver.problem.ops, solver.state.now
    size = problem.scan.frame_size
    axis = ops.array(np.arange(size, dtype=np.float32))
    geometry = Geometry(
        axis[:, None],
        axis[None],
        ops.array(np.zeros((3, size, size), np.complex64)),
        ops.array(np.zeros((size, size), np.float32)),
    )
    slopes = ops.compiled(object_slopes)(now.canvas_object)
    score, norm = 0.0, 0.0
    for _, placed in problem.placed(problem.batches(), now):
        columns, residual = ops.compiled(affine_columns)(
            now, slopes, placed, problem.good, geometry, noise
        )
        gain = ops.numpy(columns[9]).astype(float)
        score += float(np.sum(gain * ops.numpy(residual)))
        norm += float(np.sum(gain**2))
    return score / norm


@pytest.mark.parametrize('fitted', NOISE_MODELS)
def test_a_gain_that_fits_leaves_no_residual_of_its_noise_model(ops: Ops, fitted: str) -> None:
    solver = _solver(ops, 1000, update_probe='off', noise_model=fitted, object_prior=False)
    for _ in range(15):
        solver.one_pass()
    scores = {name: _score_of_gain(solver, noise) for name, noise in NOISE_MODELS.items()}
    left = abs(scores.pop(fitted))
    # Where pixels hold few counts, what fits amplitudes expects fewer counts than there are.
    assert left < 0.3 * abs(*scores.values())


def _passes_of_looks(
    monkeypatch: pytest.MonkeyPatch, solver: AcceleratedSolver, passes: int
) -> list[int]:
    """Return after which passes a common change was looked for, of one that never moves."""
    looked: list[int] = []

    def recorded(solver: AcceleratedSolver, *arguments: Any) -> AffineLook:
        looked.append(solver.passes)
        return look_affine(solver, *arguments)

    monkeypatch.setattr(position_refinement, 'look_affine', recorded)
    monkeypatch.setattr(position_refinement, 'LARGEST_CHANGE', 0.0)
    for _ in range(passes):
        solver.one_pass()
    return looked


def test_a_look_is_not_put_off_until_settled_frames_are_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(position_refinement, 'SETTLED_PX', 10.0)
    solver = _solver(NumpyOps(), 1e5, update_positions='on', update_probe='off')
    assert _passes_of_looks(monkeypatch, solver, 15) == list(position_refinement.LOOKS)


def test_no_common_change_is_looked_for_as_the_noise_model_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {'update_positions': 'auto', 'position_constraint': 'affine'}
    solver = _solver(NumpyOps(), 1e5, update_probe='on', **settings)
    # From amplitudes to Poisson after pass 12.
    assert [one for one in _passes_of_looks(monkeypatch, solver, 15) if one > 10] == [14]


@pytest.mark.parametrize(
    ('chi_squared', 'share', 'found'),
    [
        # Scales of 1.015 and 0.985: 144 frames of 1e5 photons, 64 of 1e6.
        (190.0, 0.066, True),
        (284.0, 0.195, True),
        # Other faults that look like one.
        (152.0, 0.046, False),
        (284.0, 0.022, False),
        (390.0, 0.018, False),
        # A scale that explains less needs to be clearer.
        (600.0, 0.04, True),
    ],
)
def test_a_scale_that_explains_much_is_significant_sooner(
    chi_squared: float, share: float, *, found: bool
) -> None:
    one = np.array([1.0, 0.0, 0.0, 0.0])
    look = AffineLook(step=0.01 * one, significance=chi_squared * one, gain=one)
    assert bool(significant(look, share * one)[0]) == found
    assert not significant(look, share * one)[1:].any()
