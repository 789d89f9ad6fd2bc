"""`Ops` in NumPy: the reference that every framework is tested against."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from ptychopinn_plugin.physics.ops import Array, DType
from ptychopinn_plugin.physics.overlap_add import add_patches, cut_patches
from ptychopinn_plugin.physics.worker_threads import threads_for_batches, worker_threads


class NumpyOps:
    """NumPy arrays on the CPU; keeps the precision it is given, float64 included."""

    batch_pixels = 2**18
    threads = 1
    _workers: Sequence[Executor] = ()

    def workers(self, most: int) -> AbstractContextManager[Sequence[Executor]]:
        """Give as many threads as there are to be, those of `batches_on_cores` again."""
        if self._workers:
            return nullcontext(self._workers[:most] if most > 1 else ())
        return worker_threads(min(most, self.threads))

    @contextmanager
    def batches_on_cores(self, threads: int) -> Iterator[None]:
        """Have some threads for batches, the same ones in all loops."""
        before = self.threads
        try:
            with threads_for_batches(threads) as self._workers:
                self.threads = threads
                yield
        finally:
            self.threads, self._workers = before, ()

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function of these Ops."""
        return functools.partial(function, self)

    def array(self, values: npt.NDArray[Any]) -> Array:
        """Return the array itself."""
        return values

    def free_bytes(self) -> float:
        """Return 0: arrays lie in the memory of the host."""
        return 0.0

    def numpy(self, x: Array) -> npt.NDArray[Any]:
        """Return the array itself."""
        return np.asarray(x)

    def number(self, x: Array) -> float:
        """Return a scalar as a Python number."""
        return float(x)

    def zeros(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """Return an array of zeros."""
        return np.zeros(shape, dtype)

    def fft2(self, x: Array) -> Array:
        """Unitary Fourier transform over the last two axes."""
        return scipy.fft.fft2(x, norm='ortho')

    def ifft2(self, x: Array) -> Array:
        """Inverse, and adjoint, of `fft2`."""
        return scipy.fft.ifft2(x, norm='ortho')

    def fft2_unscaled(self, x: Array) -> Array:
        """Fourier transform without a norm."""
        return scipy.fft.fft2(x)

    def ifft2_unscaled(self, x: Array) -> Array:
        """Adjoint of `fft2_unscaled`."""
        return scipy.fft.ifft2(x, norm='forward')

    def abs2(self, x: Array) -> Array:
        """Squared modulus, real."""
        return np.square(x.real) + np.square(x.imag)

    def conj(self, x: Array) -> Array:
        """Complex conjugate."""
        return np.conj(x)

    def conj_product(self, x: Array, y: Array) -> Array:
        """Return conj(x) * y."""
        return np.conj(x) * y

    def real(self, x: Array) -> Array:
        """Real part."""
        return np.real(x)

    def imag(self, x: Array) -> Array:
        """Imaginary part."""
        return np.imag(x)

    def complex(self, real: Array, imag: Array) -> Array:
        """Join real and imaginary part."""
        return real + 1j * imag

    def scale(self, x: Array, factor: Array) -> Array:
        """Multiply complex numbers by real ones."""
        return x * factor

    def scale_in_place(self, x: Array, factor: Array) -> Array:
        """Multiply complex numbers by real ones, in place."""
        return np.multiply(x, factor, out=x)

    def sqrt(self, x: Array) -> Array:
        """Square root."""
        return np.sqrt(x)

    def log(self, x: Array) -> Array:
        """Natural logarithm."""
        return np.log(x)

    def positive(self, x: Array) -> Array:
        """Return x where it is positive, 0 elsewhere."""
        return np.maximum(x, 0)

    def polar(self, angle: Array) -> Array:
        """Return exp(i angle)."""
        return np.cos(angle) + 1j * np.sin(angle)

    def sum(self, x: Array, axes: tuple[int, ...] | None = None) -> Array:
        """Sum over axes, over all without them."""
        return np.sum(x, axis=axes)

    def sum_abs2(self, x: Array) -> Array:
        """Sum of squared moduli over the first axis, real."""
        return np.sum(self.abs2(x), axis=0)

    def inner(self, x: Array, y: Array) -> Array:
        """Sum over all of x * y."""
        return np.dot(x.ravel(), y.ravel())

    def inner_each(self, x: Array, y: Array) -> Array:
        """Sum of x * y over all but the first axis."""
        return np.einsum('bi,bi->b', x.reshape(len(x), -1), y.reshape(len(y), -1))

    def mean(self, x: Array) -> Array:
        """Mean over all."""
        return np.mean(x)

    def max(self, x: Array) -> Array:
        """Greatest element."""
        return np.max(x)

    def combine(self, weights: Array, arrays: Array) -> Array:
        """Return weighted sums of complex arrays."""
        return np.tensordot(weights, arrays, 1)

    def join(self, first: Array, second: Array, axis: int = 1) -> Array:
        """Join two arrays along an axis, broadcast along the first where one is shared."""
        count = max(len(first), len(second))
        if axis:
            first, second = (np.broadcast_to(x, (count, *x.shape[1:])) for x in (first, second))
        return np.concatenate([first, second], axis)

    def transpose(self, x: Array) -> Array:
        """Swap the two axes of a matrix."""
        return x.T

    def roll(self, x: Array, shift: tuple[int, int]) -> Array:
        """Shift periodically by whole pixels."""
        return np.roll(x, shift, (0, 1))

    def cut(self, canvas: Array, corners: Array, size: int) -> Array:
        """Cut patches out of a canvas."""
        return cut_patches(canvas, corners, size)

    def add(self, canvas: Array, patches: Array, corners: Array) -> Array:
        """Add patches to a canvas, in place."""
        return add_patches(canvas, patches, corners)
