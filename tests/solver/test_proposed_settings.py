"""What `check` says of `auto` is what a reconstruction with it does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.preflight import preflight
from ptychopinn_plugin.solver.trials.automatic import DRIFT_FRAMES, resolve_automatic
from ptychopinn_plugin.solver.trials.proposed_settings import proposed_settings
from tests.helpers import make_scan


def proposals(scan: ScanData) -> dict[str, str]:
    lines = proposed_settings(scan, preflight(scan))
    return dict(line.split(' = ', 1) for line in lines)


@pytest.mark.parametrize('side', [5, 15])
def test_each_setting_has_the_value_that_auto_takes(side: int) -> None:
    scan = make_scan(frame_size=16, side=side, step_px=3.0)
    found = proposals(scan)
    chosen = resolve_automatic(
        InferenceConfig(auto=True), probe_refined=True, frames=scan.frame_count
    )
    assert found.pop('update_probe').startswith('on: no reconstruction has refined it')
    for name, text in found.items():
        value, reason = text.split(': ', 1)
        assert value == str(getattr(chosen, name)).lower()
        assert len(reason) > 20
    assert found['stop_early'].endswith(f'refine_iterations = {chosen.refine_iterations}')
    few = 'too few to determine how the probe drifts' in found['opr_modes']
    assert few == (scan.frame_count < DRIFT_FRAMES)


def test_a_probe_of_an_earlier_reconstruction_is_held() -> None:
    scan = make_scan(frame_size=16, side=5, step_px=3.0)
    refined = dataclasses.replace(scan.metadata, probe_is_refined=True)
    found = proposals(dataclasses.replace(scan, metadata=refined))
    assert found['update_probe'] == 'off: an earlier reconstruction has refined it'
    assert found['probe_modes'].endswith('the probe is not refined')


def test_flux_and_background_are_measured() -> None:
    scan = make_scan(frame_size=16, side=7, step_px=2.0, photons=1e5)
    steady = preflight(scan)
    rng = np.random.default_rng(0)
    factors = rng.normal(1, 0.2, (49, 1, 1)).clip(0.3)
    counts = np.rint(scan.counts * factors + 7).astype(np.float32)
    report = preflight(dataclasses.replace(scan, counts=counts))
    assert report.neighbour_variation == pytest.approx(0.2, abs=0.07)
    assert steady.neighbour_variation < 0.1
    assert report.darkest_counts == pytest.approx(7 + steady.darkest_counts, abs=1)
