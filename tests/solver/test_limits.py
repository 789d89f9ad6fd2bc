"""Penalties of the object and constraints of the probe that settings ask for."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.physics.constraints import disc
from ptychopinn_plugin.physics.ops import Ops
from tests.solver.scans import Values, known_scan, object_of, prepared, probe_of


def variation(image: Values) -> float:
    """Return the mean length of the differences of neighbouring pixels, border left out."""
    inner = image[16:-16, 16:-16]
    down, right = np.diff(inner, axis=0)[:, :-1], np.diff(inner, axis=1)[:-1]
    return float(np.mean(np.hypot(abs(down), abs(right))))


def test_total_variation_smooths_by_its_weight(ops: Ops) -> None:
    scan = known_scan(side=6, noise=True, photons=1000).scan
    free, light, strong = (
        variation(object_of(prepared(ops, scan, 8, total_variation=weight)))
        for weight in (0.0, 0.005, 0.02)
    )
    assert light < 0.97 * free
    assert strong < 0.92 * light


def test_a_probe_stays_within_its_disc(ops: Ops) -> None:
    scan = known_scan(side=5).scan
    within = disc(scan.frame_size, 0.3) > 0
    free, held = (
        probe_of(prepared(ops, scan, 3, probe_support=radius))[0] for radius in (0.0, 0.3)
    )
    assert np.abs(free[~within]).max() > 0
    assert np.abs(held[~within]).max() == 0
    assert np.abs(held[within]).max() > 0
