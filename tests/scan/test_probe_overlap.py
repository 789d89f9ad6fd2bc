"""Frames that overlap too little are said not to determine the object, unless they fit."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan.probe_overlap import Overlap
from tests.helpers import make_known_scan, make_scan


def test_the_overlap_is_that_of_the_positions_and_the_probe() -> None:
    scan = make_scan(side=5)
    found = Overlap.of(3 * scan.positions_px, scan.probe)
    assert found.step_px == pytest.approx(3 * Overlap.of(scan.positions_px, scan.probe).step_px)
    assert found.share == pytest.approx(1 - found.step_px / found.diameter_px)


@pytest.mark.parametrize(
    ('step', 'held_out', 'share', 'warns'),
    [
        (22, 1.9, 0.03, True),
        (22, 1.1, 0.1, True),
        (22, 1.1, 0.02, False),
        (22, 1.0, np.nan, False),
        (10, 1.9, 0.1, False),
    ],
)
def test_only_a_result_whose_held_out_photons_do_not_fit_is_warned_of(
    step: float, held_out: float, share: float, warns: bool
) -> None:
    said = Overlap(step, 26).advice(held_out, share)
    assert bool(said) == warns
    if warns:
        assert 'overlap by 15%' in said
        assert '60% are needed' in said
        assert 'steps of at most 10 px' in said
        assert 'update_probe = off' in said
        assert 'update_probe' not in Overlap(step, 26).advice(held_out, share, probe_held=True)


def test_probes_apart_from_each_other_overlap_by_nothing() -> None:
    assert 'overlap by 0%' in Overlap(40, 26).sentence()


@pytest.mark.parametrize(
    ('step', 'update_probe', 'warns', 'proposes'),
    [(5.0, 'on', False, False), (14.0, 'on', True, True), (14.0, 'off', True, False)],
)
def test_the_result_of_a_sparse_scan_says_so(
    step: float, update_probe: Literal['on', 'off'], warns: bool, proposes: bool
) -> None:
    scan = make_known_scan(side=6, step_px=step, photons=1e6).scan
    config = InferenceConfig(refine_iterations=8, reflections=0, update_probe=update_probe)
    result = run_reconstruction(NumpyOps(), scan, config, Monitor(), backend='pytorch')
    assert ('neighbouring probes overlap by' in result.warning) == warns
    assert ('hold a probe that is known' in result.warning) == proposes
