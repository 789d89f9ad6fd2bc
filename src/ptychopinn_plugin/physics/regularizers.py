"""Regularisers of an object: penalties that a training adds to its loss and the solver descends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ptychopinn_plugin.physics.ops import Array, Ops

# Rounds off the corner of |x| at 0, relative to an object near 1: below what float32 resolves of
# a difference of neighbouring pixels, and large enough for a finite gradient where they are equal.
SMALLEST_SQUARE = 1e-10


class Regularizer(Protocol):
    """A penalty of an object."""

    def gradient(self, ops: Ops, image: Array) -> Array:
        """Return the gradient of the penalty: Re <gradient, change> is what a change adds to it.

        Args:
            ops: the framework.
            image: complex64 (H, W).

        Returns:
            complex64 (H, W).
        """
        ...


@dataclass(frozen=True)
class TotalVariation:
    """Isotropic total variation of a complex image.

    Rudin, Osher and Fatemi, Physica D 60, 259, 1992, doi:10.1016/0167-2789(92)90242-F.

    Attributes:
        weight: of the penalty relative to the misfit: an update changes a pixel by up to a few
            times it, at any dose.
    """

    weight: float = 1.0

    def gradient(self, ops: Ops, image: Array) -> Array:
        """Return the weight times minus the divergence of the normalised differences, (H, W)."""
        down, right = _differences(ops, image)
        length = smooth_modulus(ops, ops.abs2(down) + ops.abs2(right))
        down, right = ops.scale(down, 1 / length), ops.scale(right, 1 / length)
        divergence = down - ops.roll(down, (1, 0)) + right - ops.roll(right, (0, 1))
        return -self.weight * divergence


@dataclass(frozen=True)
class Smoothness:
    """Sum of the squared differences of neighbouring pixels, the eight nearest.

    Attributes:
        weight: share of the mean of its neighbours that a pixel gets in a full step.
    """

    weight: float = 1.0

    def gradient(self, ops: Ops, image: Array) -> Array:
        """Return the weight times the difference of each pixel to its neighbours' mean, (H, W)."""
        columns = image + ops.roll(image, (0, 1)) + ops.roll(image, (0, -1))
        around = columns + ops.roll(columns, (1, 0)) + ops.roll(columns, (-1, 0)) - image
        return self.weight * (image - around / 8)


def total_variation(ops: Ops, patches: Array) -> Array:
    """Return the mean length of the gradient of patches (n, N, N), per pixel."""
    here = patches[:, :-1, :-1]
    squares = ops.abs2(patches[:, 1:, :-1] - here) + ops.abs2(patches[:, :-1, 1:] - here)
    return ops.mean(smooth_modulus(ops, squares))


def smooth_modulus(ops: Ops, squares: Array) -> Array:
    """Return the square root of squares, smooth at zero."""
    return ops.sqrt(squares + SMALLEST_SQUARE)


def _differences(ops: Ops, image: Array) -> tuple[Array, Array]:
    """Return the differences to the pixel below and to the right; the image is periodic."""
    return ops.roll(image, (-1, 0)) - image, ops.roll(image, (0, -1)) - image
