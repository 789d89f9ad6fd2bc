"""Laws of the Poisson noise model."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.noise_models import (
    AMPLITUDE,
    DIVISOR_FLOOR,
    POISSON,
    NoiseModel,
    poisson_deviance,
)
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from tests.physics.world import Values, make_counts, make_world, relative


@pytest.fixture
def expected() -> Values:
    return np.asarray(make_counts(NumpyOps(), make_world(photons=1e4)))


@pytest.fixture
def amplitudes(expected: Values) -> Values:
    return np.sqrt(np.random.default_rng(2).poisson(expected)).astype(np.float32)


def factor(ops: Ops, noise: NoiseModel, expected: Values, amplitudes: Values) -> Values:
    """Return the wave factor as a NumPy array."""
    placed = ops.array(expected), ops.array(amplitudes)
    return ops.numpy(noise.misfit_and_factor(ops, *placed, None)[1])


@pytest.mark.parametrize('masked', [False, True])
def test_misfit_is_half_the_deviance(
    ops: Ops, expected: Values, amplitudes: Values, masked: bool
) -> None:
    good = (np.random.default_rng(5).uniform(size=expected.shape[1:]) > 0.3).astype(np.float32)
    placed = ops.array(good) if masked else None
    found = ops.number(POISSON.misfit(ops, ops.array(expected), ops.array(amplitudes), placed))
    counts = amplitudes.astype(np.float64) ** 2
    wanted = poisson_deviance(NumpyOps(), expected, counts, good if masked else None)
    assert found == pytest.approx(0.5 * float(wanted), rel=1e-4)


def test_misfit_of_many_counts_is_a_quarter_a_pixel(ops: Ops) -> None:
    expected = np.full((1, 200, 200), 300, np.float32)
    amplitudes = np.sqrt(np.random.default_rng(0).poisson(expected)).astype(np.float32)
    misfit = ops.number(POISSON.misfit(ops, ops.array(expected), ops.array(amplitudes), None))
    assert misfit / 4e4 == pytest.approx(POISSON.misfit_per_parameter, rel=0.05)


def test_step_is_minus_half_the_slope_of_the_misfit_along_the_modulus() -> None:
    ops, rng = NumpyOps(), np.random.default_rng(1)
    modulus = rng.uniform(0.5, 5, (1, 6, 6))
    amplitudes = np.sqrt(rng.poisson(modulus**2).astype(np.float64))
    step = factor(ops, POISSON, modulus**2, amplitudes) * modulus
    held_off = modulus**2 / (modulus**2 + DIVISOR_FLOOR)
    width = 1e-5
    for place in np.ndindex(modulus.shape):
        change = np.zeros_like(modulus)
        change[place] = width
        above, below = (
            POISSON.misfit(ops, moved**2, amplitudes, None)
            for moved in (modulus + change, modulus - change)
        )
        slope = (above - below) / (2 * width)
        assert step[place] == pytest.approx(-0.5 * slope * held_off[place], abs=1e-4)


def test_step_agrees_with_numpy(other_ops: Ops, expected: Values, amplitudes: Values) -> None:
    found = factor(other_ops, POISSON, expected, amplitudes)
    assert relative(found, factor(NumpyOps(), POISSON, expected, amplitudes)) < 1e-5


def test_a_perfect_fit_stays(ops: Ops, expected: Values) -> None:
    found = factor(ops, POISSON, expected, np.sqrt(expected))
    np.testing.assert_allclose(found, 0, atol=1e-5)


def test_photons_where_none_are_expected_are_finite(ops: Ops) -> None:
    dark = np.zeros((1, 4, 4), np.float32)
    for counts in (dark, dark + 3):
        found = factor(ops, POISSON, dark, np.sqrt(counts))
        assert np.isfinite(found).all()
        assert (found >= 0).all()


def test_only_the_amplitude_model_is_biased_where_pixels_hold_few_counts(ops: Ops) -> None:
    expected = np.full((1, 300, 300), 0.1, np.float32)
    amplitudes = np.sqrt(np.random.default_rng(3).poisson(expected)).astype(np.float32)
    pulls = {
        noise.name: factor(ops, noise, expected, amplitudes).astype(np.float64)
        for noise in (POISSON, AMPLITUDE)
    }
    errors = {name: pull.std() / np.sqrt(pull.size) for name, pull in pulls.items()}
    assert abs(pulls['poisson'].mean()) < 4 * errors['poisson']
    assert pulls['amplitude'].mean() < -20 * errors['amplitude']
