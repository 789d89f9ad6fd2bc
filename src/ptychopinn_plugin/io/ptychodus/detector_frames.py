"""Frames as Ptychodus' readers give them: a square around the beam, in memory or in a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ptychodus.api.diffraction import BeamCenter, CropRegion, DiffractionArray, DiffractionDataset
from ptychodus.api.geometry import ImageExtent

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.fill_values import frames_without_values
from ptychopinn_plugin.io.frame_files import (
    FramesInMemory,
    left_in_file,
    reads_into_memory,
    temporary_frames,
)
from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.hdf5_checks import hdf5_faults
from ptychopinn_plugin.io.hdf5_frames import (
    BLOCK_BYTES,
    check_filters,
    open_hdf5_frames,
    open_with_filters,
)
from ptychopinn_plugin.scan.data import BoolArray
from ptychopinn_plugin.scan.frame_source import FrameSource

# Frames that the centre of the beam is found from, evenly spread.
SAMPLED_FRAMES = 64
# Pixels above this quantile of the mean frame are hot, or the beam itself, which is many pixels.
BRIGHTEST = 0.9999
# A beam within a pixel of the middle needs no cropping.
OFF_MIDDLE_PX = 1

Block = tuple[tuple[slice, ...], npt.NDArray[Any]]


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
    _check_stored(arrays, external_files=external_files)
    blocks = _blocks(arrays, [len(some) for some in indexes], region, dtype)
    values: npt.NDArray[Any] | FrameSource
    if reads_into_memory(frames_in_memory, shape):
        nbytes = (dtype.itemsize + 4.0) * math.prod(shape)
        if fault := memory_fault(f'{what}, frames {shape}', nbytes):
            raise ScanDataError([fault])
        values = np.empty(shape, dtype)
        for place, block in blocks:
            values[place] = block
    else:
        is_whole = shape[1:] == dataset.get_metadata().detector_extent.get_shape()
        whole = _place(arrays[0]) if is_whole and len(arrays) == 1 else None
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
        frames_without_values(values, _fill_value(arrays[0])),
        tuple(decisions),
    )


def find_region(
    dataset: DiffractionDataset, crop: int | None, beam_center: tuple[int, int] | None
) -> tuple[CropRegion, list[str]]:
    """Return the square of the detector that is read, and how it was found.

    Args:
        dataset: what a reader returned.
        crop: as in `read_detector_frames`.
        beam_center: as in `read_detector_frames`.

    Raises:
        ScanDataError: the square is not on the detector.
    """
    extent = dataset.get_metadata().detector_extent
    given = dataset.get_metadata().beam_center
    if beam_center is not None:
        given = BeamCenter(y_px=beam_center[0], x_px=beam_center[1])
    if crop is None and _is_whole(extent, given):
        whole = BeamCenter(extent.width_px // 2, extent.height_px // 2)
        return CropRegion.from_center_extent(whole, extent), []
    center = given or _brightest_place(dataset)
    found = 'given' if given else 'the centre of mass of the light'
    if crop is None:
        region = CropRegion.from_largest_pow2(center, extent)
    else:
        region = CropRegion.from_center_extent(center, ImageExtent(crop, crop))
    height, width = extent.get_shape()
    row, column = center.y_px, center.x_px
    starts, stops = zip(region.y_range, region.x_range, strict=True)
    if region.height_px < 1 or min(starts) < 0 or stops[0] > height or stops[1] > width:
        most = 2 * max(0, min(row, column, height - row, width - column))
        raise ScanDataError(
            [
                f'a square of {crop or 1} pixels around the beam at row {row}, column {column} '
                f'does not lie on the detector of {height} x {width} pixels, at most {most} do; '
                'see load_scan(crop=...) and load_scan(beam_center=...)'
            ]
        )
    return region, [
        f'{region.height_px} x {region.width_px} pixels were cut out of {height} x {width} around '
        f'row {row}, column {column}, {found}'
    ]


def _is_whole(extent: ImageExtent, center: BeamCenter | None) -> bool:
    """Return whether frames are square with the beam in their middle, as far as it is known."""
    height, width = extent.get_shape()
    if height != width or center is None:
        return bool(height == width)
    off = max(abs(center.y_px - height // 2), abs(center.x_px - width // 2))
    return off <= OFF_MIDDLE_PX


def _brightest_place(dataset: DiffractionDataset) -> BeamCenter:
    """Return the centre of mass of the mean frame, hot and bad pixels left out."""
    mean = _mean_frame(dataset)
    mean[np.asarray(dataset.get_bad_pixels(), np.bool_)] = 0
    # Few pixels, so bright that they would be the centre by themselves, are hot.
    mean = np.minimum(mean, np.quantile(mean, BRIGHTEST))
    total = mean.sum()
    if not (np.isfinite(total) and total > 0):
        raise ScanDataError(
            ['the frames have no light to find the beam by; name its place with '
             'load_scan(beam_center=...)']
        )  # fmt: skip
    rows, columns = np.arange(mean.shape[0]), np.arange(mean.shape[1])
    return BeamCenter(
        y_px=round(float(mean.sum(axis=1) @ rows / total)),
        x_px=round(float(mean.sum(axis=0) @ columns / total)),
    )


def _mean_frame(dataset: DiffractionDataset) -> npt.NDArray[np.float64]:
    """Return the mean of some frames, float64 (H, W); the largest value of an integer counts 0."""
    counts = [len(array.get_indexes()) for array in dataset]
    wanted = np.unique(np.linspace(0, sum(counts) - 1, SAMPLED_FRAMES).astype(int))
    mean = np.zeros(dataset.get_metadata().detector_extent.get_shape())
    first = 0
    for array, count in zip(dataset, counts, strict=True):
        some = wanted[(wanted >= first) & (wanted < first + count)] - first
        if len(some):
            frames = _read_some(array, some)
            if frames.dtype.kind in 'ui':
                frames = np.where(frames == np.iinfo(frames.dtype).max, 0, frames)
            mean += np.nan_to_num(frames, posinf=0, neginf=0).sum(axis=0, dtype=np.float64)
        first += count
    return np.maximum(mean, 0) / len(wanted)


def _read_some(array: DiffractionArray, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return some frames of an array, (b, H, W)."""
    place = _place(array)
    if place is None:
        return np.asarray(array.get_patterns())[numbers]
    with open_with_filters(place[0]) as file:
        stack = file[place[1]]
        check_filters(stack, array.get_label())
        return np.stack([stack[number] if stack.ndim == 3 else stack[()] for number in numbers])


def _place(array: DiffractionArray) -> tuple[Path, str] | None:
    """Return file and dataset that an array reads from; None where it does not say."""
    # Ptychodus reads all frames of a dataset at once; here they are read in parts.
    path, name = (getattr(array, key, None) for key in ('_file_path', '_data_path'))
    return (Path(path), str(name)) if path is not None and name is not None else None


def _fill_value(array: DiffractionArray) -> float:
    """Return what stands for values that were never written; 0 where it is not known."""
    place = _place(array)
    if place is None:
        return 0
    with open_with_filters(place[0]) as file:
        fill_value: float = file[place[1]].fillvalue
        return fill_value


def _check_stored(arrays: list[DiffractionArray], *, external_files: bool) -> None:
    """Refuse arrays whose files claim more than they hold."""
    faults: list[str] = []
    for place in filter(None, map(_place, arrays)):
        name = [place[1]]
        faults += hdf5_faults(place[0], name, (), name, external_files=external_files)
    if faults:
        raise ScanDataError(faults)


def _blocks(
    arrays: list[DiffractionArray], counts: list[int], region: CropRegion, dtype: np.dtype[Any]
) -> Iterator[Block]:
    """Yield (where, values) of all frames."""
    first = 0
    for array, count in zip(arrays, counts, strict=True):
        read = 0
        for block in _array_blocks(array, region, dtype):
            if not np.can_cast(block.dtype, dtype):
                raise ScanDataError(
                    [f'{array.get_label()} holds {block.dtype}, and {dtype} was announced']
                )
            start, read = first + read, read + len(block)
            if read <= count:
                yield (slice(start, first + read), slice(None), slice(None)), block
        if read != count:
            raise ScanDataError(
                [
                    f'{array.get_label()} holds {read} frames, and the reader of Ptychodus '
                    f'announced {count}; files of a series may need to have equal numbers of them'
                ]
            )
        first += count


def _array_blocks(
    array: DiffractionArray, region: CropRegion, dtype: np.dtype[Any]
) -> Iterator[npt.NDArray[Any]]:
    place = _place(array)
    if place is None:
        yield np.asarray(array.get_patterns(read_region=region))
        return
    with open_with_filters(place[0]) as file:
        stack = file[place[1]]
        check_filters(stack, array.get_label())
        if stack.ndim == 2:
            yield stack[region.y_slice, region.x_slice][np.newaxis]
            return
        chunk = stack.chunks[0] if stack.chunks else 1
        nbytes = dtype.itemsize * region.height_px * region.width_px
        step = max(1, BLOCK_BYTES // nbytes // chunk) * chunk
        for start in range(0, len(stack), step):
            yield stack[start : start + step, region.y_slice, region.x_slice]


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
