"""`Ops` on NumPy arrays of single precision, for solving on a CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.fft

from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Array

Functions = Mapping[Callable[..., Any], Callable[..., Any]]
NO_FUNCTIONS: Functions = MappingProxyType({})


class ProcessorOps(NumpyOps):
    """NumPy arrays, with fewer passes through memory than `NumpyOps`; on one core.

    Attributes:
        fused_functions: what is called in place of a function that is to be compiled, such as one
            that computes the same by fused loops.
    """

    # The arrays of a batch fit the cache.
    batch_pixels = 2**17

    def __init__(self, fused_functions: Functions = NO_FUNCTIONS) -> None:
        self.fused_functions = fused_functions

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function of these Ops, by fused loops where it has some."""
        return functools.partial(self.fused_functions.get(function, function), self)

    def fft2(self, x: Array) -> Array:
        """Unitary Fourier transform over the last two axes."""
        spectrum = self.fft2_unscaled(x)
        spectrum *= _unitary(x)
        return spectrum

    def ifft2(self, x: Array) -> Array:
        """Inverse, and adjoint, of `fft2`."""
        image = self.ifft2_unscaled(x)
        image *= _unitary(x)
        return image

    def fft2_unscaled(self, x: Array) -> Array:
        """Fourier transform without a norm."""
        return scipy.fft.fft2(x)

    def ifft2_unscaled(self, x: Array) -> Array:
        """Adjoint of `fft2_unscaled`."""
        return scipy.fft.ifft2(x, norm='forward')

    def fft2_of_scratch(self, x: Array) -> Array:
        """Fourier transform without a norm of an array that may be overwritten."""
        return scipy.fft.fft2(x, overwrite_x=True)

    def ifft2_of_scratch(self, x: Array) -> Array:
        """Adjoint of `fft2_unscaled`, of an array that may be overwritten."""
        return scipy.fft.ifft2(x, norm='forward', overwrite_x=True)

    def conj_product(self, x: Array, y: Array) -> Array:
        """Return conj(x) * y."""
        product = np.conjugate(x)
        return np.multiply(product, y, out=product if product.shape == y.shape else None)

    def abs2(self, x: Array) -> Array:
        """Squared modulus, real."""
        squares = np.square(x.real)
        squares += np.square(x.imag)
        return squares

    def polar(self, angle: Array) -> Array:
        """Return exp(i angle)."""
        found = np.empty(angle.shape, np.complex64)
        np.cos(angle, out=found.real)
        np.sin(angle, out=found.imag)
        return found

    def sum_abs2(self, x: Array) -> Array:
        """Sum of squared moduli over the first axis, real."""
        parts = np.ascontiguousarray(x).view(np.float32).reshape(len(x), -1)
        squares = np.einsum('bi,bi->i', parts, parts)
        return (squares[0::2] + squares[1::2]).reshape(x.shape[1:])

    def combine(self, weights: Array, arrays: Array) -> Array:
        """Return weighted sums of complex arrays."""
        # As real numbers: complex weights would double the multiplications.
        parts = np.ascontiguousarray(arrays).view(np.float32)
        summed = self._product(weights, parts.reshape(len(parts), -1))
        return summed.reshape(len(weights), *parts.shape[1:]).view(np.complex64)

    def _product(self, first: Array, second: Array) -> Array:
        """Return the product of two float32 matrices."""
        return first @ second


def _unitary(x: Array) -> np.float32:
    """Return the factor that makes a transform over the last two axes unitary."""
    return np.float32(1 / np.sqrt(x.shape[-2] * x.shape[-1]))
