"""The solver takes its noise model, regularisers and constraints as objects."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.constraints import ProbeSupport, disc
from ptychopinn_plugin.physics.noise_models import AMPLITUDE
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.regularizers import TotalVariation
from ptychopinn_plugin.solver import AcceleratedSolver, Problem
from tests.solver.scans import known_scan, place


class HalfStep:
    """The amplitude model with half its step and twice its misfit."""

    name: ClassVar[str] = 'half'
    residual_name: ClassVar[str] = 'twice the misfit'
    misfit_per_parameter: ClassVar[float] = 0.5

    def misfit(self, ops: Ops, expected: Array, amplitudes: Array, good: Array | None) -> Array:
        return 2 * AMPLITUDE.misfit(ops, expected, amplitudes, good)

    def misfit_and_factor(
        self, ops: Ops, expected: Array, amplitudes: Array, good: Array | None
    ) -> tuple[Array, Array]:
        misfit, factor = AMPLITUDE.misfit_and_factor(ops, expected, amplitudes, good)
        return 2 * misfit, 0.5 * factor


def test_misfit_and_step_are_those_of_the_noise_model(ops: Ops) -> None:
    scan = known_scan(side=4, bad_pixels=9).scan
    given = Problem.for_scan(ops, scan, 1, fixed_probe=True, noise=HalfStep())
    usual = Problem.for_scan(ops, scan, 1, fixed_probe=True)
    placed = place(ops, np.ones(usual.canvas.shape, np.complex64), scan.probe)
    half = given.sweep(placed, 0, with_probe=True)
    full = usual.sweep(placed, 0, with_probe=True)
    assert half.misfit == pytest.approx(2 * full.misfit, rel=1e-5)
    assert given.misfit(0, placed) == pytest.approx(half.misfit, rel=1e-4)
    np.testing.assert_allclose(
        ops.numpy(half.direction), 0.5 * ops.numpy(full.direction), rtol=1e-3, atol=1e-3
    )


def test_regularizers_lower_their_penalty(ops: Ops) -> None:
    scan = known_scan(side=4, photons=300, noise=True).scan
    objects = {}
    for weight in (0.0, 0.05):
        problem = Problem.for_scan(ops, scan, 1, fixed_probe=True)
        regularizers = (TotalVariation(weight),) if weight else ()
        solver = AcceleratedSolver(problem, InferenceConfig(), regularizers)
        for _ in range(8):
            solver.one_pass()
        objects[weight] = ops.numpy(solver.canvas_object)
    variation = {
        weight: sum(float(np.abs(np.diff(found, axis=axis)).mean()) for axis in (0, 1))
        for weight, found in objects.items()
    }
    assert variation[0.05] < 0.7 * variation[0.0]


def test_constraints_hold_after_every_update(ops: Ops) -> None:
    scan = known_scan(side=4).scan
    problem = Problem.for_scan(ops, scan, 2, fixed_probe=False)
    config = InferenceConfig(update_probe=True)
    solver = AcceleratedSolver(problem, config, constraints=(ProbeSupport(0.3),))
    for _ in range(3):
        solver.one_pass()
    outside = disc(scan.frame_size, 0.3) == 0
    assert not ops.numpy(solver.probe)[:, outside].any()
    assert np.abs(scan.probe[:, outside]).max() > 0


def test_a_batch_knows_its_frames() -> None:
    from ptychopinn_plugin.physics.numpy_ops import NumpyOps

    scan = known_scan(side=4).scan
    problem = Problem.for_scan(NumpyOps(), scan, 3, fixed_probe=True)
    batches = [batch for subset in problem.subsets for batch in subset]
    assert sorted(np.concatenate([batch.frames for batch in batches]).tolist()) == list(range(16))
    for batch in batches:
        photons = np.where(scan.mask, 0, scan.counts[batch.frames]).sum(axis=(1, 2))
        found = (batch.amplitudes**2).sum(axis=(1, 2))
        np.testing.assert_allclose(found, photons, rtol=1e-5)
