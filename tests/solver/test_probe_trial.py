"""A probe of an earlier reconstruction is refined where held-out frames gain by it."""

from __future__ import annotations

import dataclasses

import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.trials.probe_trial import refining_gains
from tests.solver.scans import defocused, known_scan, with_probe


def refined_before(scan: ScanData) -> ScanData:
    metadata = dataclasses.replace(scan.metadata, probe_is_refined=True)
    return dataclasses.replace(scan, metadata=metadata)


def test_held_out_frames_tell_a_wrong_probe_from_a_right_one(ops: Ops) -> None:
    scan = known_scan(side=9, noise=True).scan
    assert not refining_gains(ops, scan, lambda: None)
    assert refining_gains(ops, with_probe(scan, lambda p: defocused(p, 60)), lambda: None)


@pytest.mark.parametrize(('radians', 'wanted'), [(0.0, False), (60.0, True)])
def test_auto_follows_them(radians: float, wanted: bool) -> None:
    scan = refined_before(with_probe(known_scan(side=9).scan, lambda p: defocused(p, radians)))
    for asked, found in (('auto', wanted), ('off', False), ('on', True)):
        config = InferenceConfig.model_validate({'update_probe': asked})
        solver = prepare_solver(NumpyOps(), scan, config, lambda: None)
        assert solver.refines_probe is found


def test_few_frames_are_not_asked() -> None:
    scan = refined_before(with_probe(known_scan(side=6).scan, lambda p: defocused(p, 60)))
    assert not prepare_solver(NumpyOps(), scan, InferenceConfig(), lambda: None).refines_probe
