"""A static background of the detector."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.estimators.background import mean_and_spread, updated_background
from tests.helpers import expected_counts, make_scan
from tests.solver.scans import Values, known_scan, prepared


def with_background(background: Values, bad_pixels: int = 0) -> ScanData:
    """Return a noisy scan with a background (N, N) of counts, zero frequency at its centre."""
    known = known_scan(side=7, photons=2e4, bad_pixels=bad_pixels)
    scan = known.scan
    counts = expected_counts(known.ground_truth, scan.probe, scan.positions_px) + background
    noisy = np.random.default_rng(4).poisson(counts).astype(np.float32)
    noisy[:, scan.mask] = 0
    return ScanData(counts=noisy, positions_px=scan.positions_px, probe=scan.probe, mask=scan.mask)


def found_background(ops: Ops, scan: ScanData) -> Values:
    solver = prepared(ops, scan, 30, update_background=True, update_probe=False)
    background = solver.problem.ops.numpy(solver.state.now.background)
    assert background.shape == scan.mask.shape
    assert (background >= 0).all()
    return np.asarray(np.fft.fftshift(background))


def test_a_constant_background_comes_back(ops: Ops) -> None:
    scan = with_background(np.full((32, 32), 2.0), bad_pixels=40)
    found = found_background(ops, scan)
    assert not found[scan.mask].any()
    assert found[~scan.mask].mean() == pytest.approx(2, rel=0.03)
    assert found[~scan.mask].std() < 0.2


def test_a_structured_background_comes_back(ops: Ops) -> None:
    y, x = np.mgrid[:32, :32]
    wanted = 3 + 2.5 * np.sin(y / 4) * np.cos(x / 6)
    scan = with_background(wanted)
    # Where little else falls; 49 frames of about 3 counts have an error of a quarter of a count.
    dark = scan.counts.mean(axis=0) < wanted + 0.5
    assert dark.mean() > 0.7
    found, wanted = found_background(ops, scan)[dark], wanted[dark]
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.5
    assert np.corrcoef(found, wanted)[0, 1] > 0.97


def test_a_clean_scan_has_no_background(ops: Ops) -> None:
    found = found_background(ops, with_background(np.zeros((32, 32))))
    # Counts a pixel, of 20 on average.
    assert found.mean() < 0.02


def test_scores_below_zero_stop_at_zero() -> None:
    scan = make_scan(side=3, bad_pixels=30)
    rng = np.random.default_rng(0)
    score = np.stack([rng.normal(-5, 3, (32, 32)), np.full((32, 32), 9.0), np.ones((32, 32))])
    background = updated_background(np.ones((32, 32), np.float32), score.astype(np.float32), scan)
    assert background.dtype == np.float32
    assert (background >= 0).all()
    assert not background[np.fft.ifftshift(scan.mask)].any()


@pytest.mark.parametrize('spread', [0.0, 0.3, 4.0])
def test_mean_and_spread_are_the_most_likely_ones(spread: float) -> None:
    rng = np.random.default_rng(1)
    variances = rng.uniform(0.2, 2, 1500)
    values = 3 + rng.normal(size=1500) * np.sqrt(variances + spread)
    mean, found = mean_and_spread(values, variances)
    # Brute force: the likelihood over a grid, with the best mean for each spread.
    grid = np.linspace(0, 6, 1201)
    weights = 1 / (variances + grid[:, None])
    means = (weights * values).sum(axis=1) / weights.sum(axis=1)
    likelihood = (np.log(weights) - weights * (values - means[:, None]) ** 2).sum(axis=1)
    best = int(np.argmax(likelihood))
    assert found == pytest.approx(grid[best], abs=0.02)
    assert mean == pytest.approx(means[best], abs=0.005)
