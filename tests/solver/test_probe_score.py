"""The score of a held probe is small where the probe is right."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.probe_score import probe_score
from tests.solver.scans import defocused as out_of_focus
from tests.solver.scans import known_scan, make_solver, with_probe
from tests.solver.test_diagnosis import with_object


def test_the_score_tells_a_right_probe_from_one_out_of_focus(ops: Ops) -> None:
    known = known_scan(noise=True, photons=1e5)
    wrong = with_probe(known.scan, out_of_focus)

    def score_of(scan: ScanData) -> float:
        return probe_score(with_object(make_solver(ops, scan), lambda _: known.ground_truth))

    # With the true object only noise is left: one for each of the probe's pixels, less where
    # detector pixels hold few counts.
    assert 0.3 < score_of(known.scan) < 1.3
    assert score_of(wrong) > 3


def test_the_score_does_not_depend_on_subsets(ops: Ops) -> None:
    scan = known_scan(side=5, noise=True).scan
    scores = [probe_score(make_solver(ops, scan, subsets=subsets)) for subsets in (1, 3)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)
