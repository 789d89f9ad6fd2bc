"""Frames that stay in a file: when, and how they are laid out there."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.free_memory import free_memory, gigabytes
from ptychopinn_plugin.scan.frame_source import ContiguousFrames, FrameSource

FramesInMemory: TypeAlias = Literal['auto', 'yes', 'no']

# A reconstruction holds counts and amplitudes, each as large as the frames as float32.
COPIES = 2
# What the checks of a scan take beside the frames.
BESIDE = 64 * 2**20


def reads_into_memory(frames_in_memory: FramesInMemory, shape: tuple[int, ...]) -> bool:
    """Return whether frames are read into memory, not left in their file.

    Args:
        frames_in_memory: 'auto' reads them where counts and amplitudes fit into free memory.
        shape: (n, H, W).
    """
    nbytes = 4.0 * math.prod(shape)
    if frames_in_memory == 'auto':
        return COPIES * nbytes + BESIDE <= free_memory()
    # Without a frame nothing is left to read.
    return frames_in_memory == 'yes' or nbytes == 0


def left_in_file(what: str, frames: FrameSource, *, is_copy: bool) -> str:
    """Return the decision on frames that stay in a file.

    Args:
        what: the frames.
        frames: as stored.
        is_copy: whether the file is a temporary copy.
    """
    place = 'were written to a temporary file' if is_copy else 'stay in the file'
    return f'{what} {frames.dtype} {frames.shape} {place} and are read in batches'


def room_for_copies() -> int:
    """Return the free bytes of the folder of temporary files."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def temporary_frames(
    what: str,
    blocks: Iterable[tuple[tuple[slice, ...], npt.NDArray[Any]]],
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    frame_axis: int = 0,
) -> ContiguousFrames:
    """Write frames that are compressed or transposed to a temporary file.

    The file lies in the folder of temporary files (TMPDIR); it has no name and is gone when this
    process ends, however it ends.

    Args:
        what: the frames, for messages.
        blocks: (where in the stored array, values) of all its parts.
        shape: (n, H, W).
        dtype: of the values, which are kept as they are.
        frame_axis: of the stored array.

    Raises:
        ScanDataError: the folder has too little room.
    """
    nbytes = dtype.itemsize * math.prod(shape)
    folder, free = tempfile.gettempdir(), room_for_copies()
    if nbytes > free:
        raise ScanDataError(
            [
                f'{what} does not fit into memory and needs {gigabytes(nbytes)} of {folder}, where '
                f'{gigabytes(free)} are free; set TMPDIR to a folder with more, or store the '
                'frames uncompressed, one after the other'
            ]
        )
    file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
    stack: npt.NDArray[Any] = np.memmap(file, dtype, 'w+', shape=shape)
    stored_view = np.moveaxis(stack, 0, frame_axis)
    for place, block in blocks:
        stored_view[place] = block
    return ContiguousFrames(file, 0, shape, dtype)
