"""Flux and background wait for an object that scatters nearly all of the wave."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import Estimates, ScanData
from ptychopinn_plugin.solver.estimators.flux import FIRST_PASS, FluxEstimator
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.trials.scattering import (
    PASSES,
    STRONG_SHARE,
    unscattered_share,
    waiting_passes,
)
from tests.helpers import expected_counts
from tests.solver.scans import known_scan

AUTO = InferenceConfig(auto=True)
BOTH = {'update_flux': PASSES, 'update_background': PASSES}


def scan_of(phase_rad: float) -> ScanData:
    """Return frames of an object of random pixels, half of them with a phase."""
    known = known_scan(side=8, photons=1e5)
    is_set = np.random.default_rng(5).random(known.ground_truth.shape) < 0.5
    image = np.exp(1j * phase_rad * is_set).astype(np.complex64)
    scan = known.scan
    counts = expected_counts(image, scan.probe, scan.positions_px)
    noisy = np.random.default_rng(6).poisson(counts).astype(np.float32)
    return dataclasses.replace(scan, counts=noisy)


def test_the_unscattered_share_is_that_of_the_mean_of_the_object() -> None:
    weak, strong = unscattered_share(scan_of(0.4)), unscattered_share(scan_of(np.pi))
    # |mean of the object|^2 = cos(phase / 2)^2.
    assert weak == pytest.approx(np.cos(0.2) ** 2, abs=0.1)
    assert strong < STRONG_SHARE / 2


def test_what_auto_tries_waits_for_a_strong_object() -> None:
    assert waiting_passes(scan_of(np.pi), AUTO, refines=False) == BOTH
    assert waiting_passes(scan_of(0.4), AUTO, refines=False) == {}


def test_a_background_does_not_wait_where_the_probe_is_refined() -> None:
    assert waiting_passes(scan_of(np.pi), AUTO, refines=True) == {'update_flux': PASSES}


def test_what_is_asked_for_or_known_does_not_wait() -> None:
    strong = scan_of(np.pi)
    plain = InferenceConfig(update_flux=True, update_background=True)
    assert waiting_passes(strong, plain, refines=False) == {}
    asked = AUTO.model_copy(update={'update_flux': True})
    assert waiting_passes(strong, asked, refines=False) == {'update_background': PASSES}
    dark = Estimates(background=np.ones(strong.mask.shape, np.float32))
    known = dataclasses.replace(strong, estimates=dark)
    assert waiting_passes(known, AUTO, refines=False) == {'update_flux': PASSES}
    going_on = AUTO.model_copy(update={'initial': 'product'})
    assert waiting_passes(strong, going_on, refines=False) == {}


def test_half_of_few_passes_are_left() -> None:
    few = AUTO.model_copy(update={'refine_iterations': 6})
    assert set(waiting_passes(scan_of(np.pi), few, refines=False).values()) == {3}


def test_the_solver_estimates_both_after_the_wait(ops: Ops) -> None:
    settings = AUTO.model_copy(update={'update_probe': 'off'})
    scan = scan_of(np.pi)
    scan = dataclasses.replace(scan, counts=scan.counts + np.float32(2))
    solver = prepare_solver(ops, scan, settings, lambda: None)
    flux = next(one for one in solver.estimators if isinstance(one, FluxEstimator))
    found: list[tuple[bool, bool]] = []
    for _ in range(PASSES + 1):
        solver.one_pass()
        found.append((flux.flux is not None, bool(ops.numpy(solver.state.now.background).any())))
    assert found[PASSES - 2] == (False, False)
    assert found[PASSES] == (True, True)


def test_a_weak_object_waits_as_before(ops: Ops) -> None:
    settings = AUTO.model_copy(update={'update_probe': 'off'})
    solver = prepare_solver(ops, scan_of(0.4), settings, lambda: None)
    flux = next(one for one in solver.estimators if isinstance(one, FluxEstimator))
    assert solver.passes_before_background == 0
    assert flux.first_pass == FIRST_PASS
