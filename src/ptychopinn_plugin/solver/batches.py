"""Frames in ordered subsets and batches, on the host or in their file until they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.io.free_memory import return_unused_memory
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas, patch_placement
from ptychopinn_plugin.scan.frame_source import frames_in_file

Frames: TypeAlias = npt.NDArray[np.int64]
Item = TypeVar('Item')

# Of frames that are read from their file. With 512, 10,000 frames of 128 x 128 took 1.5 GiB, three
# times as much as with 64; pages that are returned come back at a cost, so not in every subset.
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
    counts: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return sqrt(counts), (n, N, N), with the zero frequency moved from N//2 to index 0.

    Bad pixels get 0: they may hold values that are no counts at all, even NaN.
    """
    amplitudes = np.empty(counts.shape, np.float32)
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

    Args:
        frames: int64 (n,), none gives no batch.
        size: most frames of a batch.
    """
    return np.array_split(frames, -(-len(frames) // size)) if len(frames) else []


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

    def read() -> npt.NDArray[np.float32]:
        return frame_amplitudes(scan.counts[frames], scan.mask)

    if frames_in_file(scan.counts) is None:
        kept = read()
        return FrameBatch(frames, lambda: kept, corners[frames], shifts_px[frames])
    return FrameBatch(frames, read, corners[frames], shifts_px[frames])


class BatchReader:
    """Reads batches of frames, in a thread of its own where they lie in a file.

    Args:
        in_thread: read the next batch in a thread while the caller works on one.
    """

    def __init__(self, *, in_thread: bool) -> None:
        self._in_thread = in_thread
        self._batches_read = 0

    def read(
        self, batches: Iterable[FrameBatch], read: Callable[[FrameBatch], Item]
    ) -> Iterator[tuple[FrameBatch, Item]]:
        """Return each batch with what is read of it.

        Args:
            batches: the batches.
            read: reads one of them, such as its amplitudes.
        """
        if not self._in_thread:
            yield from ((batch, read(batch)) for batch in batches)
            return
        with ThreadPoolExecutor(1, 'frames') as reader:
            coming: tuple[FrameBatch, Future[Item]] | None = None
            for batch in batches:
                self._return_memory()
                now, coming = coming, (batch, reader.submit(read, batch))
                if now is not None:
                    yield now[0], now[1].result()
            if coming is not None:
                yield coming[0], coming[1].result()

    def _return_memory(self) -> None:
        """Return unused memory now and then, counted over all calls."""
        self._batches_read += 1
        if self._batches_read % BATCHES_BETWEEN_RETURNS == 0:
            return_unused_memory()
