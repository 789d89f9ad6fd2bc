"""What a config asks for, what a scan is, and what the solver then does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.automatic import refines_probe
from ptychopinn_plugin.solver.prepare import prepare_solver
from tests.solver.scans import known_scan


def no_check() -> None:
    """Never stop."""


def prepared(scan: ScanData, *, with_model: bool = False, **settings: object) -> AcceleratedSolver:
    config = InferenceConfig.model_validate(settings)
    return prepare_solver(NumpyOps(), scan, config, no_check, with_model=with_model)


def reconstructed_before(scan: ScanData) -> ScanData:
    metadata = dataclasses.replace(scan.metadata, probe_is_refined=True)
    return dataclasses.replace(scan, metadata=metadata)


@pytest.mark.parametrize('auto', [False, True])
@pytest.mark.parametrize(
    ('asked', 'refined', 'with_model', 'wanted'),
    [
        ('auto', False, False, True),
        ('auto', True, False, False),
        ('auto', False, True, False),
        ('on', True, True, True),
        ('off', False, False, False),
    ],
)
def test_the_probe_is_refined_where_it_is_a_guess(
    asked: str, refined: bool, with_model: bool, wanted: bool, auto: bool
) -> None:
    scan = known_scan(side=3).scan
    scan = reconstructed_before(scan) if refined else scan
    config = InferenceConfig.model_validate({'update_probe': asked, 'auto': auto})
    assert refines_probe(config, scan, with_model=with_model) is wanted
    solver = prepared(scan, with_model=with_model, update_probe=asked)
    assert solver.refines_probe is wanted
    for _ in range(2):
        solver.one_pass()
    assert np.array_equal(solver.probe, scan.probe) is not wanted
