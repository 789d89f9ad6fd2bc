"""Photons are divided at random into two independent parts."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.scan.thinning import split_photons, whole_photons


@pytest.mark.parametrize('share', [0.2, 0.5, 2 / 3])
def test_parts_of_poisson_counts_are_independent_poisson_counts(share: float) -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(9.0, (60, 24, 24)).astype(np.float32)
    kept, held_out = split_photons(counts, share, rng)
    np.testing.assert_array_equal(kept + held_out, counts)
    for part, mean in ((kept, 9 * share), (held_out, 9 * (1 - share))):
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, np.rint(part))
        assert part.mean() == pytest.approx(mean, rel=0.02)
        assert part.var() == pytest.approx(mean, rel=0.05)
    assert abs(np.corrcoef(kept.ravel(), held_out.ravel())[0, 1]) < 0.02


def test_counts_that_are_not_whole_are_divided_without_loss() -> None:
    rng = np.random.default_rng(4)
    counts = rng.gamma(2.0, 0.4, (200, 8, 8)).astype(np.float32)
    kept, held_out = split_photons(counts, 0.3, rng)
    np.testing.assert_allclose(kept + held_out, counts, rtol=1e-6)
    assert kept.min() >= 0
    assert held_out.min() >= 0
    assert kept.sum() == pytest.approx(0.3 * counts.sum(), rel=0.05)


def test_what_a_mask_covers_is_in_no_part() -> None:
    counts = np.array([np.nan, np.inf, -np.inf, -5.0, 40.0], np.float32)
    kept, held_out = split_photons(counts, 0.5, np.random.default_rng(0))
    assert not kept[:4].any()
    assert not held_out[:4].any()
    assert kept[4] + held_out[4] == 40


def test_large_counts_stay_whole() -> None:
    counts = np.array([3.0, 2.0**24, 1e6 + 7], np.float32)
    kept, _ = split_photons(counts, 1 / 3, np.random.default_rng(1))
    np.testing.assert_array_equal(kept, np.rint(kept))


def test_whole_photons_keep_the_mean_of_faint_counts() -> None:
    counts = np.full((100, 10, 10), 0.3, np.float32)
    found = whole_photons(counts, np.random.default_rng(5))
    assert set(np.unique(found)) == {0, 1}
    assert found.mean() == pytest.approx(0.3, abs=0.015)
    np.testing.assert_array_equal(
        whole_photons(found.astype(np.float32), np.random.default_rng()), found
    )
