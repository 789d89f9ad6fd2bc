"""Reconstructions by fused loops are those of the functions over `Ops`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.solver.fused.fused_table import LEAST_PIXELS, functions_for, fused_functions
from tests.helpers import make_scan
from tests.solver.fused_worlds import LOOPS_ARE_MISSING
from tests.solver.scans import known_scan, object_of, prepared

pytestmark = pytest.mark.skipif(LOOPS_ARE_MISSING, reason='Numba is not installed')

PASSES = 12
METHODS: dict[str, dict[str, Any]] = {
    'probe fixed': {'update_probe': 'off'},
    'probe refined': {},
    'modes, flux and background': {
        'probe_modes': 2,
        'update_flux': True,
        'update_background': True,
    },
    'amplitude noise': {'noise_model': 'amplitude'},
    'a probe that varies': {'opr_modes': 1},
    'positions': {'update_positions': 'on'},
}


@pytest.mark.parametrize('settings', METHODS.values(), ids=METHODS)
def test_twelve_passes_give_the_same_object(settings: dict[str, Any]) -> None:
    scan = known_scan(noise=True, bad_pixels=30).scan
    found, wanted = (
        prepared(ProcessorOps(functions), scan, PASSES, **settings)
        for functions in (fused_functions(), {})
    )
    # A restart of the momentum in one of them only would be seen here first.
    assert found.resets == wanted.resets
    assert found.residual() == pytest.approx(wanted.residual(), rel=1e-4)
    difference = np.abs(object_of(found) - object_of(wanted))
    dose = found.problem.dose(found.probe)
    assert difference[dose > 0.1 * dose.max()].max() < 1e-4 * np.abs(object_of(wanted)).max()


def test_a_small_scan_does_not_load_numba_for_the_loops() -> None:
    scan = make_scan()
    assert scan.frame_count * scan.frame_size**2 < LEAST_PIXELS
    assert not functions_for(scan)
