"""Frames as Ptychodus' readers give them: a square around the beam, in memory or in a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ptychodus.api.diffraction import DiffractionDataset

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.fill_values import frames_without_values
from ptychopinn_plugin.io.frame_files import (
    FramesInMemory,
    left_in_file,
    reads_into_memory,
    temporary_frames,
)
from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.hdf5_frames import open_hdf5_frames
from ptychopinn_plugin.io.ptychodus.beam_region import find_region
from ptychopinn_plugin.io.ptychodus.stored_arrays import (
    Block,
    check_stored,
    fill_value,
    frame_blocks,
    place_in_file,
)
from ptychopinn_plugin.scan.data import BoolArray
from ptychopinn_plugin.scan.frame_source import FrameSource


@dataclass(frozen=True, eq=False)
class DetectorFrames:
    """Square frames with their scan indexes.

    Attributes:
        values: as stored, (n, N, N); a source where they stay in a file.
        dtype: as stored.
        indexes: int64 (n,).
        bad_pixels: bool (N, N), True where bad.
        extent: (height, width) of the detector.
        region: rows and columns of the detector.
        empty: bool (n,), True for frames that were never written.
        decisions: how they were cut out and are read, a sentence each.
    """

    values: npt.NDArray[Any] | FrameSource
    dtype: np.dtype[Any]
    indexes: npt.NDArray[np.int64]
    bad_pixels: BoolArray
    extent: tuple[int, int]
    region: tuple[slice, slice]
    empty: BoolArray
    decisions: tuple[str, ...]

    @property
    def size(self) -> int:
        """Side N of a frame."""
        return int(self.bad_pixels.shape[0])


def read_detector_frames(
    dataset: DiffractionDataset,
    what: str,
    crop: int | None,
    beam_center: tuple[int, int] | None,
    frames_in_memory: FramesInMemory,
    *,
    external_files: bool = False,
) -> DetectorFrames:
    """Read the frames of a dataset.

    Args:
        dataset: what a reader returned.
        what: the file, for messages.
        crop: side N of the frames; None for the whole detector where it is square and the beam in
            its middle, else for the largest power of two around the beam, as Ptychodus does it.
        beam_center: (row, column) of the zero frequency; None for the file's own, and where it has
            none, for the centre of mass of the mean frame.
        frames_in_memory: see `load_scan`.
        external_files: see `load_scan`.

    Raises:
        ScanDataError: no frames, frames that do not fit on the detector or into memory.
    """
    region, decisions = find_region(dataset, crop, beam_center)
    arrays = list(dataset)
    indexes = [np.asarray(array.get_indexes(), dtype=np.int64) for array in arrays]
    side = region.height_px
    shape = (sum(map(len, indexes)), side, side)
    dtype = np.dtype(dataset.get_metadata().pattern_dtype)
    if dtype.kind not in 'uif' or not shape[0]:
        raise ScanDataError([f'{what} holds {shape[0]} frames of {dtype}; real numbers are needed'])
    check_stored(arrays, external_files=external_files)
    blocks = frame_blocks(arrays, [len(some) for some in indexes], region, dtype)
    values: npt.NDArray[Any] | FrameSource
    if reads_into_memory(frames_in_memory, shape):
        values = _in_memory(what, blocks, shape, dtype)
    else:
        is_whole = shape[1:] == dataset.get_metadata().detector_extent.get_shape()
        whole = place_in_file(arrays[0]) if is_whole and len(arrays) == 1 else None
        values, decision = _left_in_file(whole, what, blocks, shape, dtype)
        decisions.append(decision)
    extent = dataset.get_metadata().detector_extent.get_shape()
    bad = region.apply_to(np.asarray(dataset.get_bad_pixels(), np.bool_))
    return DetectorFrames(
        values,
        dtype,
        np.concatenate(indexes),
        bad,
        extent,
        (region.y_slice, region.x_slice),
        frames_without_values(values, fill_value(arrays[0])),
        tuple(decisions),
    )


def _in_memory(
    what: str, blocks: Iterator[Block], shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Return all frames as an array, where it and its copy as float32 fit into memory."""
    nbytes = (dtype.itemsize + 4.0) * math.prod(shape)
    if fault := memory_fault(f'{what}, frames {shape}', nbytes):
        raise ScanDataError([fault])
    values = np.empty(shape, dtype)
    for place, block in blocks:
        values[place] = block
    return values


def _left_in_file(
    place: tuple[Path, str] | None,
    what: str,
    blocks: Iterator[Block],
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
) -> tuple[FrameSource, str]:
    """Return frames that stay in their file, or in a temporary copy, and which of the two.

    Args:
        place: file and dataset where they are all the frames, whole; else None.
        what: the file, for messages.
        blocks: (where, values) of all frames.
        shape: (n, N, N).
        dtype: of the values.
    """
    if place is not None:
        frames, is_copy = open_hdf5_frames(*place)
    else:
        frames, is_copy = temporary_frames(what, blocks, shape, dtype), True
    return frames, left_in_file(what, frames, is_copy=is_copy)
