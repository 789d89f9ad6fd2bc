"""Reconstructions that start from the variation, flux and background of an earlier one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import Estimates, Reconstruction, ScanData, continue_from
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.starting_estimates import found_estimates
from tests.helpers import expected_counts
from tests.scan.test_estimates import estimates_of
from tests.solver.scans import known_scan, prepared, with_counts
from tests.solver.test_drift import drifting

EVERYTHING: dict[str, Any] = {
    'update_probe': 'on',
    'opr_modes': 2,
    'update_flux': True,
    'update_background': True,
    'noise_model': 'amplitude',
}


def faulty_scan() -> ScanData:
    """Return a scan with a probe that drifts, a flux that varies and a background."""
    rng = np.random.default_rng(2)
    known = drifting(known_scan(side=7))
    flux = np.exp(rng.normal(0, 0.1, 49))[:, None, None]
    return with_counts(known.scan, lambda counts: rng.poisson(counts * flux + 4))


def run(ops: Ops, scan: ScanData, passes: int, **settings: Any) -> Reconstruction:
    config = InferenceConfig(refine_iterations=passes, **EVERYTHING | settings)
    return run_reconstruction(ops, scan, config, Monitor(), backend='pytorch')


def test_a_second_run_starts_where_the_first_ended(ops: Ops) -> None:
    first = run(ops, faulty_scan(), 4)
    more = continue_from(faulty_scan(), first)
    config = InferenceConfig(initial='product', **EVERYTHING)
    start = prepare_solver(ops, more, config, lambda: None)
    assert start.residual() == pytest.approx(first.residual[-1], rel=0.02)
    forgotten = dataclasses.replace(more, estimates=Estimates())
    again = prepare_solver(ops, forgotten, config, lambda: None)
    assert again.residual() > 1.5 * first.residual[-1]


@pytest.mark.slow
def test_a_second_half_ends_where_the_whole_does(ops: Ops) -> None:
    scan = faulty_scan()
    half, whole = run(ops, scan, 12), run(ops, scan, 24)
    second = run(ops, continue_from(scan, half), 12, initial='product')
    assert second.residual[-1] == pytest.approx(whole.residual[-1], rel=0.05)
    assert second.residual[-1] < half.residual[-1]
    assert set(second.estimates.arrays()) == set(whole.estimates.arrays())


def test_what_is_given_explains_the_frames_and_is_held(ops: Ops) -> None:
    known = known_scan(side=5)
    arrays = estimates_of(known.scan).arrays()
    arrays.pop('nominal_positions_px')
    arrays['flux'] /= arrays['flux'].mean()
    estimates = Estimates(**arrays)
    changes = np.tensordot(arrays['opr_weights'], arrays['opr_modes'], 1)
    mains, positions = known.scan.probe + changes, known.scan.positions_px
    frames = [
        expected_counts(known.ground_truth, mains[j][None], positions[j][None])[0] * flux
        for j, flux in enumerate(arrays['flux'])
    ]
    scan = with_counts(known.scan, lambda _: np.stack(frames) + arrays['background'])
    given = dataclasses.replace(scan, estimates=estimates, object_guess=known.ground_truth)
    held = prepared(ops, given, 0, update_probe=False, initial='product')
    assert held.residual() < 1e-5
    held.one_pass()
    found = found_estimates(held).arrays()
    np.testing.assert_allclose(found['flux'], arrays['flux'], rtol=1e-5)
    np.testing.assert_array_equal(found['background'], arrays['background'])
    np.testing.assert_allclose(
        np.tensordot(found['opr_weights'], found['opr_modes'], 1),
        changes,
        atol=1e-3 * float(np.abs(changes).max()),
    )
    bare = dataclasses.replace(given, estimates=Estimates())
    assert prepared(ops, bare, 0, update_probe=False, initial='product').residual() > 1e-2


@pytest.mark.parametrize('refined', [False, True])
def test_a_given_background_is_held_or_refined(ops: Ops, refined: bool) -> None:
    known = known_scan(side=5)
    scan = with_counts(known.scan, lambda counts: counts + 3)
    given = Estimates(background=np.full((32, 32), 2, np.float32))
    begun = dataclasses.replace(scan, estimates=given)
    solver = prepared(ops, begun, 10, update_background=refined, update_probe=False)
    found = found_estimates(solver).background
    assert found is not None
    wanted = 3 if refined else 2
    assert float(found.mean()) == pytest.approx(wanted, abs=0.1 if refined else 0)


def test_a_guess_does_not_keep_the_variation_of_another_probe(ops: Ops) -> None:
    scan = known_scan(side=4).scan
    given = dataclasses.replace(scan, estimates=estimates_of(scan))
    assert prepared(ops, given, 0).state.now.variation is None
    metadata = dataclasses.replace(scan.metadata, probe_is_refined=True)
    earlier = dataclasses.replace(given, metadata=metadata)
    assert prepared(ops, earlier, 0).state.now.variation is not None
