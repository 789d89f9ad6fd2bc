"""Frames in ordered subsets and batches, on the host or in their file until they are needed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, product
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.io.free_memory import return_unused_memory
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas, patch_placement
from ptychopinn_plugin.scan.frame_source import frames_in_file
from ptychopinn_plugin.scan.reused_memory import ReusedMemory

Frames: TypeAlias = npt.NDArray[np.int64]
Item = TypeVar('Item')

# Of frames that are read from their file. Threads that hand over each batch by itself took a
# twelfth more of the processor for 5,000 frames of 128 x 128.
BATCHES_AT_ONCE = 4
# After so many of them unused memory is returned to the system. Pages that are returned come back
# at a cost, a twentieth of a pass; 20,000 frames of 128 x 128 took 883 MiB with 64 batches and
# 1,253 with 512.
BATCHES_BETWEEN_RETURNS = 64


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """A few frames of one subset, as one call handles them.

    Attributes:
        frames: int64 (b,), their numbers in the scan, ascending.
        read_amplitudes: returns float32 (b, N, N), sqrt(counts), zero frequency at index 0: an
            array that is kept, or one that is read from the file and computed anew.
        corners: int64 (b, 2), (row, column) of each patch's first pixel on the canvas.
        shifts_px: float32 (b, 2), the sub-pixel part of each position.
    """

    frames: npt.NDArray[np.int64]
    read_amplitudes: Callable[[], npt.NDArray[np.float32]]
    corners: npt.NDArray[np.int64]
    shifts_px: npt.NDArray[np.float32]

    def read_now(self) -> npt.NDArray[np.float32]:
        """Return the amplitudes, read now where they are not kept."""
        return self.read_amplitudes()

    @property
    def amplitudes(self) -> npt.NDArray[np.float32]:
        """The amplitudes, see `read_now`."""
        return self.read_now()


def frame_amplitudes(
    counts: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_],
    memory: ReusedMemory | None = None,
) -> npt.NDArray[np.float32]:
    """Return sqrt(counts), (n, N, N), with the zero frequency moved from N//2 to index 0.

    Bad pixels get 0: they may hold values that are no counts at all, even NaN.

    Args:
        counts: float32 (n, N, N).
        mask: bool (N, N), True where a pixel is bad.
        memory: for the amplitudes; None for an array of their own.
    """
    empty = np.empty if memory is None else memory.empty
    amplitudes: npt.NDArray[np.float32] = empty(counts.shape, np.float32)
    rows, columns = (_swapped_halves(side) for side in counts.shape[1:])
    # Quarter by quarter: neither a copy of the counts nor one of their roots is made.
    with np.errstate(invalid='ignore'):
        for (row, from_row), (column, from_column) in product(rows, columns):
            np.sqrt(counts[:, from_row, from_column], out=amplitudes[:, row, column])
    if mask.any():
        amplitudes[:, np.fft.ifftshift(mask)] = 0
    return amplitudes


def _swapped_halves(side: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where `ifftshift` takes both halves of an axis to, and where from."""
    middle = side // 2
    first, last = slice(0, side - middle), slice(side - middle, side)
    return (first, slice(middle, side)), (last, slice(0, middle))


def split_frames(
    scan: ScanData, canvas: Canvas, subsets: int, batch_pixels: int, seed: int = 0
) -> list[list[FrameBatch]]:
    """Assign all frames at random to subsets, each a list of batches.

    Args:
        scan: the frames.
        canvas: from `Canvas.for_scan(scan)`.
        subsets: how many; fewer where there are fewer frames.
        batch_pixels: detector pixels of the frames of a batch.
        seed: of the random assignment.
    """
    placement = place_frames(scan.positions_px, canvas, scan.frame_size)
    numbers = frames_of_batches(scan, subsets, batch_pixels, seed)
    return [[make_batch(scan, frames, *placement) for frames in subset] for subset in numbers]


def frames_of_batches(
    scan: ScanData, subsets: int, batch_pixels: int, seed: int = 0
) -> list[list[Frames]]:
    """Return the frames of each batch of each subset, see `split_frames`."""
    order = np.random.default_rng(seed).permutation(scan.frame_count)
    # However many modes: the images of shifted probes are read once a batch. Three modes of
    # 128 x 128 took half the time with ten frames that they took with two.
    size = max(1, batch_pixels // scan.frame_size**2)
    return [
        split_evenly(np.sort(order[first::subsets]), size)
        for first in range(min(subsets, scan.frame_count))
    ]


def split_evenly(frames: Frames, size: int) -> list[Frames]:
    """Return frames in batches of about equal size: each size is compiled once.

    There is one batch or an even number of them, half for each of two cores.

    Args:
        frames: int64 (n,), none gives no batch.
        size: frames of a batch; up to a quarter more.
    """
    if len(frames) <= size:
        return [frames] if len(frames) else []
    pairs = max(1, math.ceil(len(frames) / size / 2 - 0.25))
    return np.array_split(frames, min(2 * pairs, len(frames)))


def place_frames(
    positions_px: npt.NDArray[np.float64], canvas: Canvas, size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return corners on a canvas and sub-pixel shifts of all frames, see `FrameBatch`."""
    corners, shifts = patch_placement(positions_px, size)
    return corners - np.asarray(canvas.origin_px), shifts


def make_batch(
    scan: ScanData,
    frames: Frames,
    corners: npt.NDArray[np.int64],
    shifts_px: npt.NDArray[np.float32],
) -> FrameBatch:
    """Return some frames as a batch.

    Args:
        scan: all frames.
        frames: int64 (b,), their numbers.
        corners: int64 (n, 2), of all frames, from `place_frames`.
        shifts_px: float32 (n, 2), of all frames.
    """
    stack = frames_in_file(scan.counts)
    memory = None if stack is None else stack.memory

    def read() -> npt.NDArray[np.float32]:
        return frame_amplitudes(scan.counts[frames], scan.mask, memory)

    if stack is None:
        kept = read()
        return FrameBatch(frames, lambda: kept, corners[frames], shifts_px[frames])
    return FrameBatch(frames, read, corners[frames], shifts_px[frames])


class BatchReader:
    """Reads batches of frames, in a thread of its own where they lie in a file.

    Args:
        in_thread: read the next batches in a thread while the caller works on some.
    """

    def __init__(self, *, in_thread: bool) -> None:
        self._in_thread = in_thread
        self._batches_read = 0

    def read(
        self, batches: Iterable[FrameBatch], read: Callable[[FrameBatch], Item]
    ) -> Generator[tuple[FrameBatch, Item]]:
        """Return each batch with what is read of it.

        Args:
            batches: the batches.
            read: reads one of them, such as its amplitudes.
        """
        if not self._in_thread:
            yield from ((batch, read(batch)) for batch in batches)
            return

        def read_some(some: list[FrameBatch]) -> deque[tuple[FrameBatch, Item]]:
            return deque((batch, read(batch)) for batch in some)

        rest = iter(batches)
        with ThreadPoolExecutor(1, 'frames') as reader:
            coming: Future[deque[tuple[FrameBatch, Item]]] | None = None
            while some := list(islice(rest, BATCHES_AT_ONCE)):
                self._return_memory(len(some))
                now, coming = coming, reader.submit(read_some, some)
                if now is not None:
                    yield from _each(now.result())
            if coming is not None:
                yield from _each(coming.result())

    def _return_memory(self, count: int) -> None:
        """Return unused memory now and then, counted over all calls."""
        before, self._batches_read = self._batches_read, self._batches_read + count
        if before // BATCHES_BETWEEN_RETURNS < self._batches_read // BATCHES_BETWEEN_RETURNS:
            return_unused_memory()


def _each(items: deque[Item]) -> Iterator[Item]:
    """Yield items without keeping them: the memory of each is used again at once."""
    while items:
        yield items.popleft()
