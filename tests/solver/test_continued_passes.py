"""Passes that continue those of an earlier reconstruction of the same scan."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import run_reconstruction
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import PassHistory, Reconstruction, ScanData, continue_from
from ptychopinn_plugin.solver.estimators.position_prior import posterior_errors
from ptychopinn_plugin.solver.estimators.position_refinement import PositionRefiner
from ptychopinn_plugin.solver.prepare import prepare_solver, subset_count
from ptychopinn_plugin.solver.start import find_start
from tests.solver.scans import known_scan, prepared, with_counts, with_positions


def _shaken() -> ScanData:
    """Return a scan of 64 frames whose positions are 0.4 px off."""
    offsets = np.random.default_rng(3).normal(size=(64, 2)) * 0.4
    return with_positions(known_scan(noise=True).scan, lambda positions: positions + offsets)


def _run(ops: Ops, scan: ScanData, passes: int, **settings: Any) -> Reconstruction:
    config = InferenceConfig(
        **{'refine_iterations': passes, 'update_probe': 'off', 'estimate_errors': False} | settings
    )
    return run_reconstruction(ops, scan, config, Monitor(), backend='pytorch')


def _with_history(scan: ScanData, **history: Any) -> ScanData:
    metadata = dataclasses.replace(scan.metadata, history=PassHistory(**history))
    return dataclasses.replace(scan, metadata=metadata, object_guess=known_scan().ground_truth)


def test_passes_are_counted_through_all_reconstructions() -> None:
    ops, scan = NumpyOps(), known_scan().scan
    first = _run(ops, scan, 3, subsets=2)
    assert first.history == PassHistory(3, 2)
    more = continue_from(scan, first)
    second = _run(ops, more, 2, subsets=4, initial='product', update_probe='on')
    assert second.history == PassHistory(5, 2, updates_probe=True)
    assert _run(ops, more, 2, subsets=4).history.iterations == 2


def test_subsets_that_were_joined_stay_joined() -> None:
    scan = known_scan().scan
    inference = InferenceConfig(subsets=4)
    assert subset_count(inference, scan) == 4
    assert subset_count(inference, scan, PassHistory(12, 2)) == 2
    assert subset_count(inference, scan, PassHistory(100)) == 4
    assert subset_count(InferenceConfig(subsets=1), scan, PassHistory(12, 2)) == 1


def test_frames_that_were_moved_go_on_from_where_they_are(ops: Ops) -> None:
    scan = _shaken()
    settings = {'update_positions': 'on', 'subsets': 2}
    whole, half = (_run(ops, scan, passes, **settings) for passes in (12, 8))
    more = continue_from(scan, half)
    assert half.history.moves_frames
    second = prepared(ops, more, 1, update_probe='off', initial='product', **settings)
    (refiner,) = second.estimators
    assert isinstance(refiner, PositionRefiner)
    assert refiner.active
    # Of errors of 0.4 px an axis, of which the affine part is held apart: a pass changes little.
    moved = second.problem.positions_px - more.positions_px
    assert 0 < np.sqrt(np.mean(moved**2)) < 0.06
    nominal = more.estimates.nominal_positions_px
    assert nominal is not None
    np.testing.assert_allclose(refiner.sigma_px, np.sqrt(2) * 0.4, rtol=0.3)
    result = _run(ops, more, 4, initial='product', **settings)
    assert result.residual[-1] == pytest.approx(whole.residual[-1], rel=0.1)


def test_positions_of_a_plain_reconstruction_are_looked_at_once(ops: Ops) -> None:
    scan = _shaken()
    more = continue_from(scan, _run(ops, scan, 6, subsets=2))
    solver = prepared(ops, more, 1, update_probe='off', initial='product', update_positions='on')
    errors = solver.problem.positions_px - more.positions_px
    assert float(np.std(errors)) > 0.1


def test_what_auto_has_tried_is_not_tried_again() -> None:
    scan = known_scan().scan
    settings = InferenceConfig(auto=True, initial='product', update_probe='on')
    modes = [
        len(prepare_solver(NumpyOps(), one, settings, lambda: None).probe)
        for one in (
            _with_history(scan, iterations=24),
            _with_history(scan, iterations=24, automatic=True),
        )
    ]
    assert modes == [3, 1]


def test_a_probe_that_was_refined_is_refined_further_without_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('ptychopinn_plugin.solver.start.refining_gains', lambda *_: False)
    scan = _with_history(known_scan().scan, iterations=12, updates_probe=True)
    metadata = dataclasses.replace(scan.metadata, probe_is_refined=True)
    refined = dataclasses.replace(scan, metadata=metadata)
    inference = InferenceConfig(initial='product')

    start = find_start(NumpyOps(), refined, inference, lambda: None, None)
    assert start.refines
    assert start.probe is None
    anew = InferenceConfig()
    assert not find_start(NumpyOps(), refined, anew, lambda: None, None).refines


def test_a_network_that_ended_the_first_half_does_not_begin_the_second() -> None:
    scan = known_scan().scan
    result = _run(NumpyOps(), scan, 2)
    change = np.where(np.isfinite(result.object_canvas), np.complex64(0.5j), np.nan)
    changed = dataclasses.replace(
        result,
        object_canvas=result.object_canvas + change,
        network_change=change.astype(np.complex64),
    )
    guess, plain = (continue_from(scan, one).object_guess for one in (changed, result))
    assert guess is not None
    assert plain is not None
    np.testing.assert_allclose(guess, plain, atol=1e-6)


def test_a_background_that_a_product_has_no_place_for_is_found_again(ops: Ops) -> None:
    scan = with_counts(known_scan(side=5).scan, lambda counts: counts + 3)
    settings = {'update_background': True, 'initial': 'product', 'update_flux': True}
    half = _run(ops, scan, 8, update_background=True)
    kept = dataclasses.replace(half.estimates, background=None, flux=np.ones(25))
    more = continue_from(scan, dataclasses.replace(half, estimates=kept))
    start = prepared(ops, more, 0, update_probe='off', **settings)
    found = start.state.now.background
    assert found is not None
    assert half.estimates.background is not None
    wanted = float(half.estimates.background.mean())
    # Object pixels that no probe reached are 1, which predicts a few photons more.
    assert float(ops.numpy(found).mean()) == pytest.approx(wanted, rel=0.2)
    assert start.residual() < 2 * half.residual[-1]
    plain = dataclasses.replace(half.history, finds_background=False)
    metadata = dataclasses.replace(more.metadata, history=plain)
    other = dataclasses.replace(more, metadata=metadata)
    start = prepared(ops, other, 0, update_probe='off', **settings)
    assert not ops.numpy(start.state.now.background).any()


def test_errors_of_positions_keep_their_width_without_nominal_positions() -> None:
    rng = np.random.default_rng(0)
    information = np.tile(np.eye(2), (50, 1, 1))
    left = rng.normal(size=(50, 2)) * 0.1
    free, found = posterior_errors(left, information, 0.01)
    wide, least = posterior_errors(left, information, 0.01, least=2.0)
    assert found < 0.1
    assert least == pytest.approx(2.0)
    np.testing.assert_allclose(wide, left, rtol=0.02)
    assert np.abs(free).max() < 0.5 * np.abs(left).max()
