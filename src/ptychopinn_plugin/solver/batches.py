"""Frames in ordered subsets and batches, on the host or in their file until they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.io.free_memory import return_unused_memory
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas, patch_placement
from ptychopinn_plugin.scan.frame_source import frames_in_file

Frames: TypeAlias = npt.NDArray[np.int64]

# Of frames that are read from their file: 50 MB come and go in as many of 128 x 128.
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

    @property
    def amplitudes(self) -> npt.NDArray[np.float32]:
        """The amplitudes, read now where they are not kept."""
        return self.read_amplitudes()


def frame_amplitudes(
    counts: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return sqrt(counts), (n, N, N), with the zero frequency moved from N//2 to index 0.

    Bad pixels get 0: they may hold values that are no counts at all, even NaN.
    """
    amplitudes = np.sqrt(np.where(mask, np.float32(0), counts))
    return np.fft.ifftshift(amplitudes, axes=(1, 2))


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


def read_ahead(
    batches: Iterable[FrameBatch], *, in_thread: bool
) -> Iterator[tuple[FrameBatch, npt.NDArray[np.float32]]]:
    """Return each batch with its amplitudes.

    Args:
        batches: the batches.
        in_thread: read the next batch in a thread while the caller works on this one.
    """
    if not in_thread:
        yield from ((batch, batch.amplitudes) for batch in batches)
        return
    with ThreadPoolExecutor(1, 'frames') as reader:
        coming: tuple[FrameBatch, Future[npt.NDArray[np.float32]]] | None = None
        for number, batch in enumerate(batches):
            if number % BATCHES_BETWEEN_RETURNS == 0:
                return_unused_memory()
            now, coming = coming, (batch, reader.submit(batch.read_amplitudes))
            if now is not None:
                yield now[0], now[1].result()
        if coming is not None:
            yield coming[0], coming[1].result()
