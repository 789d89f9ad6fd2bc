"""Shifted probes as weighted sums of images are those of the Fourier shift."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.forward import shift_ramps, shifted_probes
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.physics.shifts import (
    HIGHEST_DEGREE,
    LOWEST_DEGREE,
    least_degree,
    shift_terms,
    shifted_images,
    unshifted_sum,
)
from tests.physics.world import Values

SIZE = 24


def make_probe(radius: float, modes: int = 2) -> Values:
    """Return modes of random phases whose light reaches a radius on the detector."""
    rng = np.random.default_rng(0)
    k = np.fft.fftfreq(SIZE)
    lit = np.hypot(k[:, None], k) <= radius
    waves = rng.normal(size=(modes, SIZE, SIZE)) + 1j * rng.normal(size=(modes, SIZE, SIZE))
    return np.asarray(np.fft.ifft2(waves * lit, norm='ortho').astype(np.complex64))


def make_shifts(count: int = 40) -> Values:
    corners = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5]]
    inside = np.random.default_rng(1).uniform(-0.5, 0.5, (count - len(corners), 2))
    return np.concatenate([corners, inside]).astype(np.float32)


def power_of(probe: Values) -> Values:
    return np.asarray(np.sum(np.abs(np.fft.fft2(probe, norm='ortho')) ** 2, axis=0))


@pytest.mark.parametrize('radius', [0.1, 0.25, 0.5])
@pytest.mark.parametrize('tolerance', [1e-2, 1e-3])
def test_weighted_images_are_the_shifted_probes(ops: Ops, radius: float, tolerance: float) -> None:
    probe, shifts = make_probe(radius), make_shifts()
    terms = shift_terms(SIZE, least_degree(power_of(probe), tolerance))
    images = shifted_images(ops, ops.array(probe), ops.array(terms.factors))
    found = ops.numpy(ops.combine(ops.array(terms.weights(shifts)), images))
    exact = shifted_probes(ops, ops.array(probe), shift_ramps(ops, ops.array(shifts), SIZE))
    error = np.linalg.norm(found - ops.numpy(exact)) / np.linalg.norm(found)
    assert error < tolerance


def test_the_sum_is_the_adjoint_of_the_images(ops: Ops) -> None:
    probe, shifts = make_probe(0.3), make_shifts()
    terms = shift_terms(SIZE, 4)
    weights, factors = ops.array(terms.weights(shifts)), ops.array(terms.factors)
    frames = make_probe(0.5, 2 * len(shifts)).reshape(len(shifts), 2, SIZE, SIZE)
    there = ops.numpy(ops.combine(weights, shifted_images(ops, ops.array(probe), factors)))
    sums = ops.combine(ops.transpose(weights), ops.array(frames))
    back = ops.numpy(unshifted_sum(ops, sums, factors))
    assert np.vdot(there, frames) == pytest.approx(np.vdot(probe, back), rel=1e-4)


@pytest.mark.parametrize('radius', [0.05, 0.1, 0.15, 0.2, 0.3])
def test_a_degree_less_leaves_more_out_than_the_tolerance(radius: float) -> None:
    power, tolerance = power_of(make_probe(radius)), 1e-3
    degree = least_degree(power, tolerance)
    factors, orders = (getattr(shift_terms(SIZE, degree), name) for name in ('factors', 'orders'))
    last = factors[orders.sum(axis=1) == degree]
    # The square of a Chebyshev polynomial is 1/2 on average.
    left = np.sum(np.abs(last) ** 2 * power) / 2 / power.sum()
    assert degree == LOWEST_DEGREE or left >= tolerance**2


def test_light_that_reaches_further_needs_more_terms() -> None:
    degrees = [least_degree(power_of(make_probe(radius)), 1e-3) for radius in (0.05, 0.15, 0.4)]
    assert degrees[0] < degrees[1] < degrees[2] <= HIGHEST_DEGREE
    tight = [least_degree(power_of(make_probe(0.3)), tolerance) for tolerance in (1e-2, 1e-3, 1e-4)]
    assert tight[0] < tight[1] < tight[2]
