"""Reading the stack of frames: which key, which axis order, one pass, float32."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError, printable_line
from ptychopinn_plugin.io.axis_order import AxisOrder, order_from_values
from ptychopinn_plugin.io.frame_files import (
    FramesInMemory,
    left_in_file,
    reads_into_memory,
    temporary_frames,
)
from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.scan.data import BoolArray, FloatArray
from ptychopinn_plugin.scan.frame_chunks import frame_numbers
from ptychopinn_plugin.scan.frame_source import (
    ContiguousFrames,
    FramesInFile,
    FrameSource,
    apply_step,
)

# The canonical name first; `diff3d` is that of older files and of Ptychodus' exports.
FRAME_KEYS = ('diffraction', 'diff3d')


@dataclass(frozen=True)
class StoredFrames:
    """The frames as the file holds them, cast but neither squared nor scaled.

    Attributes:
        values: float32 (n, H, W).
        key: name of the array that they were read from.
        dtype: of that array.
        whole_numbers: True where every finite value is one.
        order: of the axes of that array.
        below_zero: True where the file has noise below zero, which is 0 in `values`.
    """

    values: FloatArray
    key: str
    dtype: np.dtype[Any]
    whole_numbers: bool
    order: AxisOrder
    below_zero: bool = False

    def in_memory(self) -> StoredFrames:
        """Return the frames read into memory."""
        return dataclasses.replace(self, values=np.asarray(self.values))


def frames_key(archive: NpzArchive) -> str:
    """Return the name of the array that holds the frames, `diffraction` before `diff3d`.

    Raises:
        ScanDataError: the file has neither.
    """
    for key in FRAME_KEYS:
        if key in archive:
            return key
    held = printable_line(', '.join(archive.names[:20]), 200) or 'nothing'
    raise ScanDataError(
        [f"neither 'diffraction' nor 'diff3d' is in the file; it holds {held}. One of the two "
         'must hold the diffraction frames']
    )  # fmt: skip


def read_frames(
    archive: NpzArchive,
    positions: int | None,
    axis_order: AxisOrder | None,
    decisions: list[str],
    frames_in_memory: FramesInMemory = 'auto',
) -> StoredFrames:
    """Read the frames in one pass, casting and transposing them block by block.

    Needs the memory of the float32 frames and of one block, whatever the stored dtype. Frames that
    are to stay out of memory are read where the file has them, or from a temporary file where they
    are compressed or transposed.

    Args:
        archive: the open file.
        positions: number of scan positions, None where they could not be read.
        axis_order: 'nhw' or 'hwn' where it is known; None to find out.
        decisions: how the frames were interpreted is added here.
        frames_in_memory: see `load_scan`.

    Raises:
        ScanDataError: no frames, no real numbers, or an axis order that cannot be known.
    """
    key = frames_key(archive)
    header = archive.header(key)
    if header.dtype.kind not in 'uif':
        raise ScanDataError(
            [f'{key!r} is {header.dtype}; frames must be real numbers: counts or amplitudes']
        )
    if len(header.shape) != 3:
        raise ScanDataError([f'{key!r} must have shape (n, N, N), got {header.shape}'])
    order = axis_order or _find_axis_order(archive, key, positions, decisions)
    frame_axis = 0 if order == 'nhw' else 2
    if header.dtype != np.float32:
        decisions.append(f'{key!r} was cast from {header.dtype} to float32')
    height, width = np.delete(header.shape, frame_axis).tolist()
    shape = (header.shape[frame_axis], height, width)
    if not reads_into_memory(frames_in_memory, shape):
        frames = _contiguous_frames(archive, key, frame_axis, shape, decisions)
        return stored_in_file(frames, key, order)
    values = _allocate(key, shape)
    stored_view = np.moveaxis(values, 0, frame_axis)
    whole = True
    for place, block in archive.blocks(key):
        stored_view[place] = _cast(block)
        whole = whole and all_whole(block)
    return StoredFrames(values, key, header.dtype, whole, order)


def _contiguous_frames(
    archive: NpzArchive,
    key: str,
    frame_axis: int,
    shape: tuple[int, int, int],
    decisions: list[str],
) -> ContiguousFrames:
    """Return the frames (n, H, W) where the file has them, or else a copy in a temporary file."""
    header = archive.header(key)
    as_needed = frame_axis == 0 and not header.fortran_order
    place = archive.place(key) if as_needed else None
    if place is not None:
        frames = ContiguousFrames(archive.path.open('rb', buffering=0), place, shape, header.dtype)
    else:
        what = f'{archive.path}, {key!r}'
        frames = temporary_frames(what, archive.blocks(key), shape, header.dtype, frame_axis)
    decisions.append(left_in_file(repr(key), frames, is_copy=place is None))
    return frames


def stored_in_file(source: FrameSource, key: str, order: AxisOrder) -> StoredFrames:
    """Return frames that stay in their file; one pass over those that are no integers."""
    frames = FramesInFile.of(source)
    whole = source.dtype.kind in 'ui' or all(
        all_whole(source.read(some)) for some in frame_numbers(len(frames), frames.nbytes)
    )
    return StoredFrames(frames.as_counts(), key, source.dtype, whole, order)


def move_zero_frequency(
    frames: FloatArray, mask: BoolArray | None
) -> tuple[FloatArray, BoolArray | None]:
    """Return frames and mask with their zero frequency moved from pixel (0, 0) to N//2.

    The frames are changed in place where they are an array, see `apply_step`.
    """
    moved = apply_step(frames, partial(np.fft.fftshift, axes=(1, 2)))
    return moved, None if mask is None else np.fft.fftshift(mask)


def _find_axis_order(
    archive: NpzArchive, key: str, positions: int | None, decisions: list[str]
) -> AxisOrder:
    header = archive.header(key)
    first, middle, last = header.shape
    if first == positions == last and key == 'diffraction' and 'measurement_domain' in archive:
        decisions.append(
            f'{key!r} {header.shape} holds the frames on its first axis, as a file with '
            'measurement_domain does'
        )
        return 'nhw'
    if first == positions == last:
        order = order_from_values(archive.blocks(key), header.shape)
        if order is not None:
            axis = 'first' if order == 'nhw' else 'last'
            decisions.append(
                f'{key!r} {header.shape} holds the frames on its {axis} axis: along the other end '
                'the light varies as it does on a detector'
            )
            return order
        raise ScanDataError(
            [f'{key!r} has shape {header.shape} and there are {positions} positions, so either '
             'end may be the frame axis, and the light does not decide; say which with '
             'load_scan(axis_order=...), nhw or hwn']
        )  # fmt: skip
    if last == positions:
        decisions.append(
            f'{key!r} {header.shape} holds the frames on its last axis, which has one entry for '
            f'each of the {positions} positions; it was transposed to ({last}, {first}, {middle})'
        )
        return 'hwn'
    # Neither axis has the number of positions, which is reported as a fault; the two equal sides
    # are those of a frame.
    return 'hwn' if first not in (positions, last) and first == middle else 'nhw'


def _allocate(key: str, shape: tuple[int, ...]) -> FloatArray:
    values = math.prod(shape)
    # Beside the frames and one block, the checks take a little.
    if fault := memory_fault(f'{key!r} {shape}', 4.0 * values + 64 * 2**20):
        raise ScanDataError([fault])
    try:
        return np.empty(shape, np.float32)
    except (MemoryError, ValueError) as error:
        raise ScanDataError([f'{key!r} of shape {shape} does not fit into memory']) from error


def _cast(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # A float64 beyond float32 becomes infinite, which the contract's check reports.
    with np.errstate(over='ignore', invalid='ignore'):
        return block.astype(np.float32)


def all_whole(block: npt.NDArray[Any]) -> bool:
    """Return whether every finite value is a whole number."""
    if block.dtype.kind in 'ui':
        return True
    whole = (block == np.floor(block)) | ~np.isfinite(block)
    return bool(whole.all())
