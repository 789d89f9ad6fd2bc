"""The ramp that object and probe can trade is put back; the frames stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.probe_tilt import ProbeTilt, probe_tilt
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.unknowns import Unknowns
from tests.solver.scans import known_scan, probe_of

TILT = (0.11, -0.07)


def test_a_tilt_of_the_probe_goes_back_to_the_object(ops: Ops) -> None:
    problem = Problem.for_scan(ops, known_scan(side=5).scan, 1, fixed_probe=False)
    solver = AcceleratedSolver(problem, InferenceConfig(update_probe=True))
    solver.one_pass()
    ProbeTilt().at_end(solver)
    start = probe_tilt(problem.scan.probe)
    before, wanted = solver.residual(), ops.numpy(solver.canvas_object)
    rows, columns = np.indices(problem.canvas.shape)
    ramp = np.exp(1j * (TILT[0] * rows + TILT[1] * columns)).astype(np.complex64)
    size = problem.scan.frame_size

    def tilt(unknowns: Unknowns) -> Unknowns:
        return unknowns._replace(
            canvas_object=unknowns.canvas_object * ops.array(ramp.conj()),
            probe=unknowns.probe * ops.array(ramp[:size, :size]),
        )

    solver.transform(tilt)
    moved = probe_tilt(probe_of(solver))
    np.testing.assert_allclose(np.subtract(moved, start), TILT, atol=0.02)
    ProbeTilt().at_end(solver)
    np.testing.assert_allclose(probe_tilt(probe_of(solver)), start, atol=1e-5)
    assert solver.residual() == pytest.approx(before, rel=1e-4)
    found = ops.numpy(solver.canvas_object)
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())
