"""The few array functions that the physics needs of a framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

# An array of the framework that the Ops belong to: NumPy, PyTorch or TensorFlow. It has + - * /.
Array: TypeAlias = Any
DType: TypeAlias = Literal['float32', 'complex64']


class Ops(Protocol):
    """Array functions of one framework on one device.

    Attributes:
        batch_pixels: detector pixels of frames that one call handles best.
        threads: of a CPU, among which batches are divided; 0 where one batch follows the other, as
            on a device that has all its cores work on each.
    """

    batch_pixels: int

    @property
    def threads(self) -> int:
        """Threads among which batches are divided, or 0."""

    def workers(self, most: int) -> AbstractContextManager[Sequence[Executor]]:
        """Give threads that may use these Ops; all have ended afterwards.

        No operation, of these threads or of the calling one, divides its own work meanwhile, so
        that numbers do not depend on how many threads there are.

        Args:
            most: threads at most; none are given where the calling thread is the only one.
        """

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with its first argument, the Ops, filled in; compiled if that helps.

        Args:
            function: of a module, pure but for arrays that it may change in place; takes Ops,
                then arrays, None, numbers that are always the same, or tuples of these.
        """

    def array(self, values: npt.NDArray[Any]) -> Array:
        """Bring a NumPy array to the device, its dtype kept."""

    def free_bytes(self) -> float:
        """Return how much is free of the device's own memory; 0 where it has none of its own."""

    def numpy(self, x: Array) -> npt.NDArray[Any]:
        """Bring an array back to NumPy."""

    def number(self, x: Array) -> float:
        """Return a scalar array as a Python number; waits for the device."""

    def zeros(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """Return an array of zeros."""

    def fft2(self, x: Array) -> Array:
        """Unitary Fourier transform over the last two axes, zero frequency at index 0."""

    def ifft2(self, x: Array) -> Array:
        """Inverse, and adjoint, of `fft2`."""

    def fft2_unscaled(self, x: Array) -> Array:
        """Fourier transform without a norm: N times `fft2` of images of N x N pixels."""

    def ifft2_unscaled(self, x: Array) -> Array:
        """Adjoint of `fft2_unscaled`: N times `ifft2`."""

    def abs2(self, x: Array) -> Array:
        """Squared modulus, real."""

    def conj(self, x: Array) -> Array:
        """Complex conjugate."""

    def conj_product(self, x: Array, y: Array) -> Array:
        """Return conj(x) * y."""

    def real(self, x: Array) -> Array:
        """Real part."""

    def imag(self, x: Array) -> Array:
        """Imaginary part."""

    def complex(self, real: Array, imag: Array) -> Array:
        """Join real and imaginary part."""

    def scale(self, x: Array, factor: Array) -> Array:
        """Multiply complex numbers by real ones."""

    def scale_in_place(self, x: Array, factor: Array) -> Array:
        """Multiply complex numbers by real ones.

        The numbers given may be changed in place; only those returned count.
        """

    def sqrt(self, x: Array) -> Array:
        """Square root."""

    def log(self, x: Array) -> Array:
        """Natural logarithm."""

    def positive(self, x: Array) -> Array:
        """Return x where it is positive, 0 elsewhere."""

    def polar(self, angle: Array) -> Array:
        """Return exp(i angle), complex64, of a float32 angle."""

    def sum(self, x: Array, axes: tuple[int, ...] | None = None) -> Array:
        """Sum over axes, over all without them."""

    def sum_abs2(self, x: Array) -> Array:
        """Sum of squared moduli over the first axis, real."""

    def inner(self, x: Array, y: Array) -> Array:
        """Sum over all of x * y, real arrays of one shape."""

    def inner_each(self, x: Array, y: Array) -> Array:
        """Sum of x * y over all but the first axis, real arrays of one shape."""

    def mean(self, x: Array) -> Array:
        """Mean over all."""

    def max(self, x: Array) -> Array:
        """Greatest element."""

    def combine(self, weights: Array, arrays: Array) -> Array:
        """Return weighted sums of complex arrays.

        Args:
            weights: float32 (b, k).
            arrays: complex64 (k, ...).

        Returns:
            complex64 (b, ...).
        """

    def join(self, first: Array, second: Array, axis: int = 1) -> Array:
        """Join two arrays along an axis.

        Along another axis than the first, one may have a first axis of length 1, shared by all.
        """

    def transpose(self, x: Array) -> Array:
        """Swap the two axes of a matrix."""

    def roll(self, x: Array, shift: tuple[int, int]) -> Array:
        """Shift (H, W) periodically by whole pixels, (row, column)."""

    def cut(self, canvas: Array, corners: Array, size: int) -> Array:
        """Cut square patches out of a canvas.

        Args:
            canvas: (H, W).
            corners: int64 (n, 2), (row, column) of each patch's first pixel, inside the canvas.
            size: side of a patch.

        Returns:
            (n, size, size).
        """

    def add(self, canvas: Array, patches: Array, corners: Array) -> Array:
        """Add patches to a canvas where they overlap it: the adjoint of `cut`.

        The canvas given may be changed in place; only the returned one counts.
        """


def fourier_frequencies(size: int) -> npt.NDArray[np.float32]:
    """Return the frequencies of `fft2`, cycles a pixel, float32 (size,)."""
    return np.fft.fftfreq(size).astype(np.float32)
