"""`Ops` in TensorFlow."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.devices import memory_limit
from ptychopinn_plugin.backends.tensorflow.xla import FusedFunction
from ptychopinn_plugin.physics.ops import DType

# Enough to keep all cores busy: XLA gives a small array to one core only.
_CPU_BATCH, _GPU_BATCH = 2**19, 2**22


class TensorFlowOps:
    """Tensors on the device in whose scope the functions are called.

    Compiled functions are kept with the Ops: one set of Ops for many scans compiles less.

    Args:
        device: TensorFlow's name of the device.
        fused: compile with XLA, for every shape anew; else into graphs that take any shape, for
            work whose shapes change all the time.
    """

    def __init__(self, device: str, *, fused: bool) -> None:
        self.device = device
        self.batch_pixels = _CPU_BATCH if 'CPU' in device else _GPU_BATCH
        self._fused = fused
        self._functions: dict[Callable[..., Any], Any] = {}

    @property
    def threads(self) -> int:
        """Return 0: TensorFlow has all cores work on a batch."""
        return 0

    def workers(self, most: int) -> AbstractContextManager[Sequence[Executor]]:
        """Give no threads."""
        return nullcontext(())

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function of these Ops, compiled once for all calls of the same shapes."""
        known: Callable[..., Any] | None = self._functions.get(function)
        if known is None:
            filled = functools.partial(function, self)
            known = self._functions[function] = (
                FusedFunction(filled)
                if self._fused
                else tf.function(filled, autograph=False, reduce_retracing=True)
            )
        return known

    def traces(self) -> dict[str, int]:
        """Return how many times each compiled function was traced so far, by its name."""
        return {
            function.__name__.lstrip('_'): one.experimental_get_tracing_count()
            for function, one in self._functions.items()
        }

    def array(self, values: npt.NDArray[Any]) -> tf.Tensor:
        """Bring a NumPy array to the device."""
        return tf.convert_to_tensor(values)

    def free_bytes(self) -> float:
        """Return what TensorFlow may still take of the memory of a GPU; else 0.

        It takes a GPU for itself: memory that other programs hold since it began is not known.
        """
        if 'GPU' not in self.device:
            return 0.0
        name = self.device.removeprefix('/')
        taken = tf.config.experimental.get_memory_info(name)['current']
        return float(max(memory_limit(name) - taken, 0))

    def numpy(self, x: tf.Tensor) -> npt.NDArray[Any]:
        """Bring a tensor back to NumPy."""
        values: npt.NDArray[Any] = x.numpy()
        return values

    def number(self, x: tf.Tensor) -> float:
        """Return a scalar tensor as a Python number."""
        return float(x)

    def zeros(self, shape: tuple[int, ...], dtype: DType) -> tf.Tensor:
        """Return a tensor of zeros."""
        return tf.zeros(shape, dtype)

    def fft2(self, x: tf.Tensor) -> tf.Tensor:
        """Unitary Fourier transform over the last two axes."""
        # TensorFlow's transform has no unitary norm.
        return tf.signal.fft2d(x) * (1 / _root_of_pixels(x))

    def ifft2(self, x: tf.Tensor) -> tf.Tensor:
        """Inverse, and adjoint, of `fft2`."""
        return tf.signal.ifft2d(x) * _root_of_pixels(x)

    def fft2_unscaled(self, x: tf.Tensor) -> tf.Tensor:
        """Fourier transform without a norm."""
        return tf.signal.fft2d(x)

    def ifft2_unscaled(self, x: tf.Tensor) -> tf.Tensor:
        """Adjoint of `fft2_unscaled`."""
        return tf.signal.ifft2d(x) * _root_of_pixels(x) ** 2

    def abs2(self, x: tf.Tensor) -> tf.Tensor:
        """Squared modulus; several times faster than `abs`, and smooth at zero."""
        return tf.square(tf.math.real(x)) + tf.square(tf.math.imag(x))

    def conj(self, x: tf.Tensor) -> tf.Tensor:
        """Complex conjugate."""
        return tf.math.conj(x)

    def conj_product(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Return conj(x) * y."""
        return tf.math.conj(x) * y

    def real(self, x: tf.Tensor) -> tf.Tensor:
        """Real part."""
        return tf.math.real(x)

    def imag(self, x: tf.Tensor) -> tf.Tensor:
        """Imaginary part."""
        return tf.math.imag(x)

    def complex(self, real: tf.Tensor, imag: tf.Tensor) -> tf.Tensor:
        """Join real and imaginary part."""
        return tf.complex(real, imag)

    def scale(self, x: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        """Multiply complex numbers by real ones."""
        # TensorFlow multiplies equal dtypes only, and a complex factor would double the work.
        return tf.complex(tf.math.real(x) * factor, tf.math.imag(x) * factor)

    def scale_in_place(self, x: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        """Multiply complex numbers by real ones."""
        return self.scale(x, factor)

    def sqrt(self, x: tf.Tensor) -> tf.Tensor:
        """Square root."""
        return tf.sqrt(x)

    def log(self, x: tf.Tensor) -> tf.Tensor:
        """Natural logarithm."""
        return tf.math.log(x)

    def positive(self, x: tf.Tensor) -> tf.Tensor:
        """Return x where it is positive, 0 elsewhere."""
        return tf.nn.relu(x)

    def polar(self, angle: tf.Tensor) -> tf.Tensor:
        """Return exp(i angle)."""
        return tf.complex(tf.cos(angle), tf.sin(angle))

    def sum(self, x: tf.Tensor, axes: tuple[int, ...] | None = None) -> tf.Tensor:
        """Sum over axes, over all without them."""
        if self._fused and _ends_with_lines(x, axes):
            return _summed_without_order(x, axes)
        return tf.reduce_sum(x, axes)

    def sum_abs2(self, x: tf.Tensor) -> tf.Tensor:
        """Sum of squared moduli over the first axis, real."""
        return self.sum(self.abs2(x), (0,))

    def inner(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Sum over all of x * y."""
        return self.sum(x * y)

    def inner_each(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Sum of x * y over all but the first axis."""
        return self.sum(x * y, tuple(range(1, len(x.shape))))

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        """Mean over all."""
        return tf.reduce_mean(x)

    def max(self, x: tf.Tensor) -> tf.Tensor:
        """Greatest element."""
        return tf.reduce_max(x)

    def combine(self, weights: tf.Tensor, arrays: tf.Tensor) -> tf.Tensor:
        """Return weighted sums of complex arrays."""
        parts = [tf.tensordot(weights, part(arrays), 1) for part in (tf.math.real, tf.math.imag)]
        return tf.complex(*parts)

    def join(self, first: tf.Tensor, second: tf.Tensor, axis: int = 1) -> tf.Tensor:
        """Join two arrays along an axis, broadcast along the first where one is shared."""
        if axis:
            count = tf.maximum(tf.shape(first)[0], tf.shape(second)[0])
            first, second = (
                tf.broadcast_to(x, tf.concat([[count], tf.shape(x)[1:]], 0))
                for x in (first, second)
            )
        return tf.concat([first, second], axis)

    def transpose(self, x: tf.Tensor) -> tf.Tensor:
        """Swap the two axes of a matrix."""
        return tf.transpose(x)

    def roll(self, x: tf.Tensor, shift: tuple[int, int]) -> tf.Tensor:
        """Shift periodically by whole pixels."""
        return tf.roll(x, shift, (0, 1))

    def cut(self, canvas: tf.Tensor, corners: tf.Tensor, size: int) -> tf.Tensor:
        """Cut patches out of a canvas."""
        pixels = _pixels(tf.shape(canvas)[1], corners, size)
        return tf.reshape(tf.gather(tf.reshape(canvas, [-1]), pixels), [-1, size, size])

    def add(self, canvas: tf.Tensor, patches: tf.Tensor, corners: tf.Tensor) -> tf.Tensor:
        """Add patches to a canvas."""
        shape = tf.shape(canvas)
        pixels = _pixels(shape[1], corners, patches.shape[-1])
        # Several times faster than to scatter.
        sums = tf.math.unsorted_segment_sum(
            tf.reshape(patches, [-1]), tf.reshape(pixels, [-1]), shape[0] * shape[1]
        )
        return canvas + tf.reshape(sums, shape)


def _root_of_pixels(x: tf.Tensor) -> float | tf.Tensor:
    """Return the root of an image's pixels; a tensor in a graph that takes images of any size."""
    rows, columns = x.shape[-2:]
    if rows is None or columns is None:
        pixels = tf.reduce_prod(tf.shape(x)[-2:])
        return tf.cast(tf.sqrt(tf.cast(pixels, tf.float32)), x.dtype)
    return math.sqrt(rows * columns)


def _ends_with_lines(x: tf.Tensor, axes: tuple[int, ...] | None) -> bool:
    """Say whether a sum runs along the last axes, two or more, of an array of known shape."""
    if not x.shape.is_fully_defined() or len(x.shape) < 2:
        return False
    return axes is None or (len(axes) > 1 and axes == tuple(range(axes[0], len(x.shape))))


def _summed_without_order(x: tf.Tensor, axes: tuple[int, ...] | None) -> tf.Tensor:
    """Sum over axes, the last ones of an array, several times faster than XLA does.

    XLA adds along the last axis one number at a time, to keep their order, and makes one such sum
    of two. Along an earlier axis it adds many lines at once; a product with ones is left alone.
    """
    first = 0 if axes is None else axes[0]
    lines = tf.reduce_sum(x, first)
    lines = tf.reshape(lines, [*lines.shape[:first], -1])
    return tf.tensordot(lines, tf.ones(lines.shape[-1:], x.dtype), 1)


def _pixels(width: tf.Tensor, corners: tf.Tensor, size: int) -> tf.Tensor:
    """Return the flat canvas index of every patch pixel, int32 (n, size size)."""
    side = tf.range(size)
    offsets = tf.reshape(side[:, None] * width + side, [-1])
    # TensorFlow's shapes and ranges are int32, and it adds equal dtypes only.
    corners = tf.cast(corners, tf.int32)
    first = corners[:, 0] * width + corners[:, 1]
    return first[:, None] + offsets
