"""Laws of the object's regularisers."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.physics.regularizers import SMALLEST_SQUARE, Smoothness, TotalVariation
from tests.helpers import make_object
from tests.physics.world import Values


def penalty(image: Values) -> float:
    """Return the periodic total variation, summed over pixels, in double precision."""
    squares = sum(np.abs(np.roll(image, -1, axis) - image) ** 2 for axis in (0, 1))
    return float(np.sqrt(squares + SMALLEST_SQUARE).sum())


def test_gradient_agrees_with_finite_differences() -> None:
    image = make_object((9, 11), seed=3).astype(np.complex128)
    gradient = TotalVariation().gradient(NumpyOps(), image)
    change = np.random.default_rng(0).normal(size=(2, 9, 11)) * 1e-8
    change = change[0] + 1j * change[1]
    wanted = penalty(image + change) - penalty(image - change)
    assert 2 * np.vdot(gradient, change).real == pytest.approx(wanted, rel=1e-4)


def test_gradient_is_the_same_in_every_framework_and_scales_with_the_weight(ops: Ops) -> None:
    image = make_object((8, 12), seed=1)
    found = ops.numpy(TotalVariation(0.3).gradient(ops, ops.array(image)))
    wanted = 0.3 * TotalVariation().gradient(NumpyOps(), image)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_flat_object_has_no_gradient(ops: Ops) -> None:
    flat = ops.array(np.full((5, 6), 0.7 + 0.2j, np.complex64))
    assert np.abs(ops.numpy(TotalVariation().gradient(ops, flat))).max() < 1e-2


def roughness(image: Values) -> float:
    """Return an eighth of the squared differences of all neighbouring pairs, summed."""
    steps = [(1, 0), (0, 1), (1, 1), (1, -1)]
    squares = [np.sum(np.abs(np.roll(image, step, (0, 1)) - image) ** 2) for step in steps]
    return float(sum(squares)) / 16


def test_smoothness_is_the_gradient_of_its_penalty(ops: Ops) -> None:
    image = make_object((9, 11), seed=3).astype(np.complex128)
    gradient = Smoothness().gradient(NumpyOps(), image)
    change = np.random.default_rng(0).normal(size=(2, 9, 11)) * 1e-6
    change = change[0] + 1j * change[1]
    wanted = roughness(image + change) - roughness(image - change)
    assert 2 * np.vdot(gradient, change).real == pytest.approx(wanted, rel=1e-6)
    found = Smoothness(0.4).gradient(ops, ops.array(image.astype(np.complex64)))
    np.testing.assert_allclose(ops.numpy(found), 0.4 * gradient, atol=1e-5)


def test_a_full_step_of_smoothness_is_the_mean_of_the_neighbours() -> None:
    image = make_object((9, 11), seed=3)
    smooth = image - Smoothness().gradient(NumpyOps(), image)
    around = image[2:5, 4:7].sum() - image[3, 5]
    assert smooth[3, 5] == pytest.approx(around / 8, rel=1e-5)
