"""A part of a scan in one of several processes: its frames, its canvas and the exchange of strips.

The canvas of the scan is divided into rectangles, one a process (`rectangles.divide_plane`). A
process holds its rectangle and around it a halo, so that all patches of its frames lie on its
canvas. Where canvases overlap, a pixel has the same value in all of them, up to rounding: sums over
frames are added up over the processes in the order of their ranks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.ops import Array, DType, Ops
from ptychopinn_plugin.scan.canvas import Canvas, patch_placement
from ptychopinn_plugin.solver.parts.communicator import Communicator
from ptychopinn_plugin.solver.parts.partition import Gains, Partition
from ptychopinn_plugin.solver.parts.rectangles import Frames, Rectangle, divide_plane

T = TypeVar('T')
NOTHING = Rectangle(0, 0, 0, 0)


@dataclass(eq=False)
class ScanPart:
    """One of the parts of a scan.

    Attributes:
        ops: the framework; its arrays can be changed in place.
        communicator: of the processes.
        whole_canvas: of the scan.
        size: side N of a frame.
        margin_px: pixels that a canvas holds around every patch.
        assigned: the frames of each process.
        cores: rectangles that cover the whole canvas, one a process.
        boxes: the canvases of the processes, pixels of the whole one.
        bytes_sent: to other processes so far, strips and whole images.
    """

    ops: Ops
    communicator: Communicator
    whole_canvas: Canvas
    size: int
    margin_px: int
    assigned: tuple[Frames, ...]
    cores: tuple[Rectangle, ...]
    boxes: tuple[Rectangle, ...] = ()
    bytes_sent: int = 0

    @classmethod
    def of(
        cls,
        ops: Ops,
        communicator: Communicator,
        positions_px: npt.NDArray[np.float64],
        canvas: Canvas,
        size: int,
        margin_px: int,
    ) -> ScanPart:
        """Divide a scan among processes.

        Args:
            ops: the framework.
            communicator: of the processes.
            positions_px: float64 (n, 2), (row, column).
            canvas: of the scan.
            size: side N of a frame.
            margin_px: pixels around every patch, for positions that move.

        Raises:
            ReconstructionError: there are fewer frames than processes.
        """
        if len(positions_px) < communicator.size:
            raise ReconstructionError(
                f'a scan of {len(positions_px)} frames cannot be divided among '
                f'{communicator.size} processes; use at most as many processes as frames'
            )
        centres = positions_px - np.asarray(canvas.origin_px)
        parts = divide_plane(centres, Rectangle(0, 0, *canvas.shape), communicator.size)
        assigned, cores = (tuple(kind) for kind in zip(*parts, strict=True))
        part = cls(ops, communicator, canvas, size, margin_px, assigned, cores)
        part.boxes = part._boxes(positions_px)
        return part

    @property
    def is_first(self) -> bool:
        """Whether this is process 0."""
        return self.communicator.rank == 0

    @property
    def canvas(self) -> Canvas:
        """The canvas of this process."""
        box, (row, column) = self.boxes[self.communicator.rank], self.whole_canvas.origin_px
        return Canvas((row + box.top, column + box.left), box.shape)

    @property
    def frames(self) -> Frames | None:
        """The frames of this process."""
        return self.assigned[self.communicator.rank]

    def total(self, value: float) -> float:
        """Return the sum of a number over all processes."""
        return float(self.communicator.all_numbers(np.array(value, np.float64)).sum())

    def total_values(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the sum of an array of numbers over all processes."""
        # Not gathered: statistics of all frames from many processes would not fit into memory.
        return self.communicator.sum_values(np.asarray(values, np.float64))

    def sum(self, values: Array | None) -> Array | None:
        """Return the sum over all processes of an array that is no canvas; None of None."""
        return None if values is None else self.communicator.all_sum(values)

    def add_overlaps(self, image: Array) -> Array:
        """Return sums over frames with what other processes added to the same pixels."""
        return self._moved(image, self.boxes, self.boxes, _dtype(image))

    def largest(self, image: Array) -> Array | None:
        """Return the greatest element over all processes, float32."""
        own = np.array(self.ops.number(self.ops.max(image)))
        most = self.communicator.all_numbers(own).max()
        return self.ops.array(np.asarray(most, np.float32))

    def on_first(self, function: Callable[[], T]) -> T:
        """Call a function in process 0 only and return its value in all of them."""
        return self.communicator.on_first(function)

    def whole(self, image: Array) -> Array | None:
        """Return an image on the whole canvas, made of the parts; None but in process 0."""
        rank = self.communicator.rank
        own = image[self.cores[rank].inside(self.boxes[rank])]
        found = self._moved(own, self.cores, self._on_first(), _dtype(image))
        return found if self.is_first else None

    def part(self, image: Array | None, dtype: DType = 'complex64') -> Array:
        """Return this process's part of an image on the whole canvas of process 0."""
        return self._moved(image, self._on_first(), self.boxes, dtype)

    def on_whole(self, function: Callable[..., Array], *images: Array) -> Array:
        """Return the part of a complex64 image that is computed from images on the whole canvas."""
        wholes = [self.whole(image) for image in images]
        return self.part(function(*wholes) if self.is_first else None)

    def scale_spectrum(self, ops: Ops, image: Array, shape: tuple[int, int], gains: Gains) -> Array:
        """Return an image with the Fourier components of the whole canvas scaled.

        Each process transforms some rows and some columns of the plane; no one holds all of it.
        """
        height, width = shape
        rows = [Rectangle(a, 0, b, width) for a, b in self._shares(height)]
        columns = [Rectangle(0, a, height, b) for a, b in self._shares(width)]
        rank = self.communicator.rank
        own = image[self.cores[rank].inside(self.boxes[rank])]
        some = self._moved(own, self.cores, rows, 'complex64')
        some = self._moved(_along(ops.fft2_unscaled, some), rows, columns, 'complex64')
        spectrum = _along(ops.fft2_unscaled, ops.transpose(some))
        factors = ops.transpose(gains(slice(columns[rank].left, columns[rank].right)))
        some = ops.transpose(_along(ops.ifft2_unscaled, ops.scale(spectrum, factors)))
        some = self._moved(some, columns, rows, 'complex64')
        return self._moved(_along(ops.ifft2_unscaled, some), rows, self.boxes, 'complex64')

    def _shares(self, count: int) -> list[tuple[int, int]]:
        """Return the first of some rows or columns of each process and the one after the last."""
        size = self.communicator.size
        bounds = [count * rank // size for rank in range(size + 1)]
        return list(pairwise(bounds))

    def with_positions(self, positions_px: npt.NDArray[np.float64]) -> ScanPart:
        """Return a partition whose canvases hold the frames at other positions; often this one."""
        needed = [self._around(positions_px[frames], 0) for frames in self.assigned]
        if all(one.around(box) == box for one, box in zip(needed, self.boxes, strict=True)):
            return self
        return dataclasses.replace(self, boxes=self._boxes(positions_px))

    def to(self, other: Partition, image: Array) -> Array:
        """Return an image on the canvas that this process has in another partition.

        Args:
            other: from `with_positions`.
            image: (H, W), on the canvas of this partition.
        """
        assert isinstance(other, ScanPart)
        rank = self.communicator.rank
        own = image[self.cores[rank].inside(self.boxes[rank])]
        return self._moved(own, self.cores, other.boxes, _dtype(image))

    def _boxes(self, positions_px: npt.NDArray[np.float64]) -> tuple[Rectangle, ...]:
        """Return the canvas of each process, for frames at some positions."""
        plane = Rectangle(0, 0, *self.whole_canvas.shape)
        return tuple(
            self._around(positions_px[frames], self.margin_px).around(core).overlap(plane)
            for frames, core in zip(self.assigned, self.cores, strict=True)
        )

    def _around(self, positions_px: npt.NDArray[np.float64], margin_px: int) -> Rectangle:
        """Return the rectangle of the whole canvas that patches and a margin around them take."""
        corners, _ = patch_placement(positions_px, self.size)
        corners -= np.asarray(self.whole_canvas.origin_px)
        top, left = (int(first) - margin_px for first in corners.min(axis=0))
        bottom, right = (int(last) + self.size + margin_px for last in corners.max(axis=0))
        return Rectangle(top, left, bottom, right)

    def _on_first(self) -> tuple[Rectangle, ...]:
        """Return rectangles of which process 0 has the whole canvas and others have nothing."""
        plane = Rectangle(0, 0, *self.whole_canvas.shape)
        return plane, *[NOTHING] * (self.communicator.size - 1)

    def _moved(
        self,
        image: Array | None,
        sources: Sequence[Rectangle],
        targets: Sequence[Rectangle],
        dtype: DType,
    ) -> Array:
        """Add the images of all processes up, each where it lies, and return a part of the sum.

        Args:
            image: of this process, on its source; None where that is empty.
            sources: where the image of each process lies.
            targets: the part of the sum that each process wants.
            dtype: of the images.
        """
        rank = self.communicator.rank
        source, target = sources[rank], targets[rank]
        sent, wanted = {}, {}
        for other, (there, elsewhere) in enumerate(zip(targets, sources, strict=True)):
            if other == rank:
                continue
            goes, comes = source.overlap(there), elsewhere.overlap(target)
            if goes.pixels:
                assert image is not None
                sent[other] = image[goes.inside(source)]
                self.bytes_sent += goes.pixels * np.dtype(dtype).itemsize
            if comes.pixels:
                wanted[other] = self.ops.zeros(comes.shape, dtype)
        self.communicator.exchange(sent, wanted)
        total = self.ops.zeros(target.shape, dtype)
        for other in range(len(sources)):
            place = sources[other].overlap(target)
            if place.pixels:
                added = wanted.get(other)
                if added is None:
                    assert image is not None
                    added = image[place.inside(source)]
                total[place.inside(target)] += added
        return total


def _along(transform: Callable[[Array], Array], lines: Array) -> Array:
    """Transform each line of an array (lines, n)."""
    return transform(lines[:, None])[:, 0]


def _dtype(image: Array) -> DType:
    """Return the dtype of an image of any framework."""
    return 'complex64' if 'complex' in str(image.dtype) else 'float32'
