"""Sub-pixel shifts of a probe as weighted sums of a few images, the same for all frames.

A shift by s multiplies the component of frequency f by exp(-2 pi i f s). Along one axis, for s from
-1/2 to 1/2, that is sum_n t_n(f) T_n(2 s) with Chebyshev polynomials T_n, t_0 = J_0(pi f) and
t_n = 2 (-i)^n J_n(pi f) (the Jacobi-Anger expansion: Abramowitz and Stegun, Handbook of
Mathematical Functions, 9.1.44 and 9.1.45). The terms fall off as the n-th power of the frequency: a
probe whose light reaches only a part of the detector needs few. One image for each pair of terms is
shared by all frames, and a frame's probe is a product of real weights with these images, without a
transform of its own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import jv

from ptychopinn_plugin.physics.ops import Array, Ops, fourier_frequencies

# Degrees that are considered; at the highest, a component at the edge of the detector is off by
# less than 1e-4.
LOWEST_DEGREE, HIGHEST_DEGREE = 2, 7

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ShiftTerms:
    """The terms of an expansion up to a total degree.

    Attributes:
        factors: complex64 (terms, N, N), of a probe's Fourier transform, zero frequency at index 0.
        orders: int64 (terms, 2), degrees along rows and columns.
    """

    factors: npt.NDArray[np.complex64]
    orders: npt.NDArray[np.int64]

    def weights(self, shifts_px: npt.NDArray[np.floating]) -> Floats:
        """Return the weight of each term for each shift, float32 (n, terms).

        Args:
            shifts_px: (n, 2), (row, column), from -1/2 to 1/2.
        """
        angles = np.arccos(np.clip(2 * shifts_px.astype(np.float64), -1, 1))
        rows, columns = (np.cos(angles[:, axis, None] * self.orders[:, axis]) for axis in (0, 1))
        return (rows * columns).astype(np.float32)


@functools.lru_cache(maxsize=16)
def shift_terms(size: int, degree: int) -> ShiftTerms:
    """Return the terms up to a total degree for probes of some size."""
    along = _terms_along(size, degree)
    orders = np.array([(a, n - a) for n in range(degree + 1) for a in range(n + 1)])
    factors = along[orders[:, 0], :, None] * along[orders[:, 1], None, :]
    return ShiftTerms(factors.astype(np.complex64), orders)


def least_degree(power: npt.NDArray[np.floating], tolerance: float) -> int:
    """Return the degree from which on shifted probes are off by less than a tolerance.

    Args:
        power: (N, N), of the probe at each spatial frequency, zero frequency at index 0.
        tolerance: root mean square of the error relative to the probe.
    """
    total = max(float(power.sum(dtype=np.float64)), 1e-30)
    squares = _squares_along(len(power))
    # Of each pair of orders, the power in its term; by total degree, from the last order of columns
    # on so that the pairs of a degree lie on a diagonal.
    shares = (squares @ power @ squares.T)[:, ::-1]
    for degree in range(LOWEST_DEGREE, HIGHEST_DEGREE):
        # Of the terms left out those of the next degree are the largest; a square of a Chebyshev
        # polynomial is 1/2 on average.
        left = float(np.trace(shares, len(shares) - 2 - degree))
        if left / 2 < tolerance**2 * total:
            return degree
    return HIGHEST_DEGREE


def shifted_images(ops: Ops, probe: Array, factors: Array) -> Array:
    """Return the images whose weighted sums are the shifted probes, (terms, modes, N, N).

    Args:
        ops: the framework.
        probe: complex64 (modes, N, N).
        factors: complex64 (terms, N, N), of `ShiftTerms`.
    """
    return ops.ifft2(ops.fft2(probe)[None] * factors[:, None])


def unshifted_sum(ops: Ops, images: Array, factors: Array) -> Array:
    """Return the adjoint of `shifted_images`, (modes, N, N).

    Args:
        ops: the framework.
        images: complex64 (terms, modes, N, N).
        factors: complex64 (terms, N, N), of `ShiftTerms`.
    """
    return ops.ifft2(ops.sum(ops.fft2(images) * ops.conj(factors)[:, None], (0,)))


@functools.lru_cache(maxsize=16)
def _squares_along(size: int) -> npt.NDArray[np.float64]:
    """Return the squared moduli of the terms along one axis, (HIGHEST_DEGREE + 2, N)."""
    return np.asarray(np.abs(_terms_along(size, HIGHEST_DEGREE + 1)) ** 2)


@functools.lru_cache(maxsize=16)
def _terms_along(size: int, degree: int) -> npt.NDArray[np.complex128]:
    """Return the terms along one axis, complex128 (degree + 1, N)."""
    frequencies = fourier_frequencies(size).astype(np.float64)
    order = np.arange(degree + 1)[:, None]
    return np.asarray(np.where(order == 0, 1, 2) * (-1j) ** order * jv(order, np.pi * frequencies))
