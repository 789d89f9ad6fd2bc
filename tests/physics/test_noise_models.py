"""Laws of the likelihoods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ptychopinn_plugin.physics.noise_models import amplitude_deviance, poisson_deviance
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array, Ops
from tests.physics.world import Values, make_counts, make_world

Deviance = Callable[[Ops, Values, Values, Values | None], float]


def on_amplitudes(ops: Ops, expected: Values, counts: Values, good: Values | None) -> float:
    return _number(ops, amplitude_deviance, expected, np.sqrt(counts), good)


def on_counts(ops: Ops, expected: Values, counts: Values, good: Values | None) -> float:
    return _number(ops, poisson_deviance, expected, counts, good)


def _number(
    ops: Ops,
    function: Callable[[Ops, Array, Array, Array | None], Array],
    expected: Values,
    measured: Values,
    good: Values | None,
) -> float:
    placed = None if good is None else ops.array(good)
    return ops.number(function(ops, ops.array(expected), ops.array(measured), placed))


DEVIANCES = pytest.mark.parametrize('deviance', [on_amplitudes, on_counts])


@pytest.fixture
def expected() -> Values:
    return np.asarray(make_counts(NumpyOps(), make_world(photons=1e4)))


@pytest.fixture
def counts(expected: Values) -> Values:
    return np.random.default_rng(2).poisson(expected).astype(np.float32)


@DEVIANCES
def test_a_perfect_fit_has_no_deviance(ops: Ops, deviance: Deviance, expected: Values) -> None:
    assert abs(deviance(ops, expected, expected, None)) < 1e-6 * expected.sum()


@DEVIANCES
def test_deviance_is_positive_and_grows_away_from_the_truth(
    ops: Ops, deviance: Deviance, expected: Values
) -> None:
    # Scaled up and down, and each pixel by a factor of its own.
    factors = np.random.default_rng(3).uniform(0.5, 2, expected.shape).astype(np.float32)
    for way in (np.float32(2), np.float32(0.5), factors):
        values = [deviance(ops, expected * way**much, expected, None) for much in (0.1, 0.5, 1)]
        assert 0 < values[0] < values[1] < values[2]


@DEVIANCES
def test_deviance_of_noisy_counts_is_least_at_the_truth_scale(
    ops: Ops, deviance: Deviance, expected: Values, counts: Values
) -> None:
    scales = np.linspace(0.5, 1.5, 41)
    values = [deviance(ops, expected * np.float32(scale), counts, None) for scale in scales]
    # The square root of few photons is low on average, so on amplitudes the least is a bit lower.
    assert scales[int(np.argmin(values))] == pytest.approx(1, abs=0.12)


def test_poisson_deviance_is_the_log_likelihood_ratio(ops: Ops, expected: Values) -> None:
    from scipy.stats import poisson

    counts = np.random.default_rng(1).poisson(expected).astype(np.float32)
    bright = expected > 1
    wanted = poisson.logpmf(counts, counts) - poisson.logpmf(counts, expected)
    found = _number(ops, poisson_deviance, expected[bright], counts[bright], None)
    assert found == pytest.approx(float(wanted[bright].sum()), rel=1e-3)


def test_amplitude_deviance_weighs_any_dose_alike(ops: Ops) -> None:
    rng = np.random.default_rng(4)
    for mean in (30.0, 3000.0):
        expected = np.full((1, 100, 100), mean, np.float32)
        counts = rng.poisson(expected).astype(np.float32)
        assert on_amplitudes(ops, expected, counts, None) / 1e4 == pytest.approx(0.25, rel=0.05)


@DEVIANCES
def test_no_photons_are_no_trouble(ops: Ops, deviance: Deviance) -> None:
    dark, lit = np.zeros((1, 4, 4), np.float32), np.full((1, 4, 4), 3, np.float32)
    assert deviance(ops, dark, dark, None) == 0
    assert 0 < deviance(ops, lit, dark, None) < np.inf
    assert 0 < deviance(ops, dark, lit, None) < np.inf


@DEVIANCES
def test_bad_pixels_have_no_say(
    ops: Ops, deviance: Deviance, expected: Values, counts: Values
) -> None:
    good = (np.random.default_rng(5).uniform(size=expected.shape[1:]) > 0.3).astype(np.float32)
    value = deviance(ops, expected, counts, good)
    spoilt = np.where(good == 0, np.float32(1e4), counts)
    assert deviance(ops, expected, spoilt, good) == value
    assert deviance(ops, np.where(good == 0, expected + 7, expected), counts, good) == value
    assert deviance(ops, expected, spoilt, None) > value
    kept = good.astype(bool)
    assert value == pytest.approx(deviance(ops, expected[:, kept], counts[:, kept], None), rel=1e-4)
