"""Positions that were held and are wrong are named; those that are right are not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.trials.held_positions import PositionFault, find_position_fault
from tests.solver.scans import known_scan, with_positions

Values = npt.NDArray[Any]


@functools.cache
def _scan() -> ScanData:
    return known_scan(side=8, noise=True).scan


def _turned(positions: Values) -> Values:
    """Return positions that are turned by 1.7 degrees."""
    rows, columns = (positions - positions.mean(axis=0)).T
    return np.asarray(positions + 0.03 * np.stack([columns, -rows], axis=1))


def _scattered(positions: Values) -> Values:
    return np.asarray(positions + np.random.default_rng(5).normal(size=positions.shape) * 0.4)


def _fault(ops: Ops, wrong: Callable[[Values], Values], **settings: Any) -> PositionFault | None:
    """Return what is found after a few passes from positions that are wrong."""
    config = InferenceConfig(**{'update_probe': 'off', 'subsets': 2} | settings)
    solver = prepare_solver(ops, with_positions(_scan(), wrong), config, lambda: None)
    for _ in range(9):
        solver.one_pass()
    return find_position_fault(solver)


def test_a_rotation_makes_the_object_wrong(ops: Ops) -> None:
    fault = _fault(ops, _turned)
    assert fault is not None
    assert fault.is_wrong
    # The positions have to be turned back.
    assert 'rotation -1.' in fault.sentence
    assert 'update_positions = auto' in fault.sentence


def test_errors_of_single_frames_are_named() -> None:
    fault = _fault(NumpyOps(), _scattered)
    assert fault is not None
    assert not fault.is_wrong
    assert 'single frames' in fault.sentence


def test_right_positions_have_no_fault(ops: Ops) -> None:
    assert _fault(ops, lambda positions: positions) is None


def test_refined_positions_are_not_looked_at_again() -> None:
    assert _fault(NumpyOps(), _turned, update_positions='on') is None


def test_the_result_says_what_is_wrong() -> None:
    config = InferenceConfig(
        update_probe='off', subsets=2, refine_iterations=9, estimate_errors=False
    )
    for wrong, part in ((_turned, 'warning'), (_scattered, 'remarks')):
        scan = with_positions(_scan(), wrong)
        result = run_reconstruction(NumpyOps(), scan, config, Monitor(), backend='pytorch')
        found = result.warning if part == 'warning' else ' '.join(result.remarks)
        assert 'refine them (update_positions = auto)' in found
