"""The error that photon noise gives an amplitude equals that of Poisson counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import poisson

from ptychopinn_plugin.physics.photon_noise import root_error


@pytest.mark.parametrize('mean', [0.01, 0.7, 5.0, 40.0])
def test_the_error_of_the_root_is_that_of_poisson_counts(mean: float) -> None:
    counts = np.random.default_rng(0).poisson(mean, 400_000)
    measured = np.mean((np.sqrt(counts) - math.sqrt(mean)) ** 2)
    assert float(root_error(np.array(mean))) == pytest.approx(measured, rel=0.03)


@pytest.mark.parametrize('mean', [0.0, 1e-4, 0.03, 0.71, 3.3, 17.0, 59.99, 1e6])
def test_the_error_of_the_root_is_exact_between_the_points_of_its_table(mean: float) -> None:
    count = np.arange(max(200, int(mean + 8 * math.sqrt(mean)) + 1))
    exact = np.sum(poisson.pmf(count, mean) * (np.sqrt(count) - math.sqrt(mean)) ** 2)
    # Beyond the table, the error is that of its last point.
    tolerance = 2e-5 if mean < 60 else 2e-3
    assert float(root_error(np.array(mean, np.float32))) == pytest.approx(exact, abs=tolerance)


def test_the_error_of_the_root_of_nan_is_that_of_many_counts() -> None:
    assert float(root_error(np.array(np.nan))) == pytest.approx(0.25, abs=0.01)
