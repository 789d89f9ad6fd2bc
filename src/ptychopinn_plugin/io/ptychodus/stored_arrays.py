"""Arrays of frames as Ptychodus' readers return them, read in parts from the files they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ptychodus.api.diffraction import CropRegion, DiffractionArray

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.hdf5_checks import hdf5_faults
from ptychopinn_plugin.io.hdf5_frames import BLOCK_BYTES, check_filters, open_with_filters

# Where frames belong in the array of all, and their values.
Block: TypeAlias = tuple[tuple[slice, ...], npt.NDArray[Any]]


def read_frames(array: DiffractionArray, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return some frames of an array, (b, H, W), in the dtype of the file.

    Args:
        array: of a reader of Ptychodus.
        numbers: int64 (b,), of the frames in the array.
    """
    place = place_in_file(array)
    if place is None:
        return np.asarray(array.get_patterns())[numbers]
    with open_with_filters(place[0]) as file:
        stack = file[place[1]]
        check_filters(stack, array.get_label())
        return np.stack([stack[number] if stack.ndim == 3 else stack[()] for number in numbers])


def place_in_file(array: DiffractionArray) -> tuple[Path, str] | None:
    """Return file and dataset that an array reads from; None where it does not say."""
    # Ptychodus reads all frames of a dataset at once; here they are read in parts.
    path, name = (getattr(array, key, None) for key in ('_file_path', '_data_path'))
    return (Path(path), str(name)) if path is not None and name is not None else None


def fill_value(array: DiffractionArray) -> float:
    """Return what stands for values that were never written; 0 where it is not known."""
    place = place_in_file(array)
    if place is None:
        return 0
    with open_with_filters(place[0]) as file:
        value: float = file[place[1]].fillvalue
        return value


def check_stored(arrays: list[DiffractionArray], *, external_files: bool) -> None:
    """Check that files hold what their arrays claim.

    Raises:
        ScanDataError: a file holds less, or refers to other files without `external_files`.
    """
    faults: list[str] = []
    for place in filter(None, map(place_in_file, arrays)):
        name = [place[1]]
        faults += hdf5_faults(place[0], name, (), name, external_files=external_files)
    if faults:
        raise ScanDataError(faults)


def frame_blocks(
    arrays: list[DiffractionArray], counts: list[int], region: CropRegion, dtype: np.dtype[Any]
) -> Iterator[Block]:
    """Yield (where, values) of all frames.

    Args:
        arrays: of a dataset.
        counts: frames of each array, as the reader announced them.
        region: of the detector.
        dtype: as the reader announced it.

    Raises:
        ScanDataError: an array has another dtype or number of frames.
    """
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
    place = place_in_file(array)
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
