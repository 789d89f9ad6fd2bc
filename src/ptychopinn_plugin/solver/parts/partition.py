"""The part of a scan that a process holds: the interface that the solver uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array, DType, Ops
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.solver.updates import apply_gains

T = TypeVar('T')
# Returns the factors of the Fourier components in some columns of a plane, zero frequency at index
# 0 and over the number of pixels, float32 (H, columns).
Gains: TypeAlias = Callable[[slice], Array]


class Partition(Protocol):
    """Frames and canvas of one process, and sums over those of all.

    All processes of a reconstruction call the same methods in the same order.

    Attributes:
        is_first: whether this is process 0, which computes what needs the whole canvas.
        whole_canvas: of the scan.
        canvas: of this process: a part of the whole one that holds all patches of its frames.
        frames: int64, the frames of this process, ascending; None for all of the scan.
    """

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, which computes what needs the whole canvas."""

    @property
    def whole_canvas(self) -> Canvas:
        """The canvas of the scan."""

    @property
    def canvas(self) -> Canvas:
        """The canvas of this process."""

    @property
    def frames(self) -> npt.NDArray[np.int64] | None:
        """The frames of this process."""

    def total(self, value: float) -> float:
        """Return the sum of a number over all processes."""

    def total_values(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the sum of an array of numbers, float64 of any shape, over all processes."""

    def sum(self, values: Array | None) -> Array | None:
        """Return the sum over all processes of an array that is no canvas; None of None."""

    def add_overlaps(self, image: Array) -> Array:
        """Return sums over frames, (H, W), with what other processes added to the same pixels."""

    def largest(self, image: Array) -> Array | None:
        """Return the greatest element over all processes; None where this one has the whole."""

    def on_first(self, function: Callable[[], T]) -> T:
        """Call a function in process 0 only and return its value in all of them."""

    def whole(self, image: Array) -> Array | None:
        """Return an image on the whole canvas, made of the parts; None but in process 0."""

    def part(self, image: Array | None, dtype: DType = 'complex64') -> Array:
        """Return this process's part of an image on the whole canvas of process 0."""

    def on_whole(self, function: Callable[..., Array], *images: Array) -> Array:
        """Return the part of a complex64 image that is computed from images on the whole canvas."""

    def scale_spectrum(self, ops: Ops, image: Array, shape: tuple[int, int], gains: Gains) -> Array:
        """Return an image with the Fourier components of the whole canvas scaled.

        Args:
            ops: the framework.
            image: complex64 (H, W), on the canvas of this process.
            shape: of the whole canvas with zeros below and beside it.
            gains: the factors of the components.
        """

    def with_positions(self, positions_px: npt.NDArray[np.float64]) -> Partition:
        """Return a partition whose canvases hold the frames at other positions; often this one."""

    def to(self, other: Partition, image: Array) -> Array:
        """Return an image on the canvas that this process has in another partition.

        Args:
            other: from `with_positions`.
            image: (H, W), on the canvas of this partition.
        """


@dataclass(frozen=True)
class WholeScan:
    """All frames and the whole canvas in one process.

    Attributes:
        canvas: of the scan.
    """

    canvas: Canvas
    is_first = True
    frames = None

    @property
    def whole_canvas(self) -> Canvas:
        """The canvas of the scan."""
        return self.canvas

    def total(self, value: float) -> float:
        """Return the number."""
        return value

    def total_values(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the array."""
        return values

    def sum(self, values: Array | None) -> Array | None:
        """Return the array."""
        return values

    def add_overlaps(self, image: Array) -> Array:
        """Return the image."""
        return image

    def largest(self, image: Array) -> Array | None:
        """Return None: the greatest element is that of the image."""

    def on_first(self, function: Callable[[], T]) -> T:
        """Call the function."""
        return function()

    def whole(self, image: Array) -> Array | None:
        """Return the image."""
        return image

    def part(self, image: Array | None, dtype: DType = 'complex64') -> Array:
        """Return the image."""
        return image

    def on_whole(self, function: Callable[..., Array], *images: Array) -> Array:
        """Call the function."""
        return function(*images)

    def scale_spectrum(self, ops: Ops, image: Array, shape: tuple[int, int], gains: Gains) -> Array:
        """Return the image with its Fourier components scaled."""
        (height, width), (rows, columns) = image.shape, shape
        zeros = (
            ops.zeros(border, 'complex64')
            for border in ((rows - height, width), (rows, columns - width))
        )
        scaled = ops.compiled(apply_gains)(image, gains(slice(0, columns)), *zeros)
        return scaled if image.shape == shape else scaled[:height, :width]

    def with_positions(self, positions_px: npt.NDArray[np.float64]) -> Partition:
        """Return itself: the frames stay on the canvas."""
        return self

    def to(self, other: Partition, image: Array) -> Array:
        """Return the image."""
        return image
