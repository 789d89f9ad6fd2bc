"""An object canvas that grows with the positions."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.scan.canvas import Canvas, patch_placement

Value = TypeVar('Value', bound=np.generic)
Positions = npt.NDArray[np.float64]

# Share of its side by which a canvas grows beyond what it must hold: each growth copies it, and a
# framework may compile anew.
SPARE_SHARE = 0.5
# Arrays of the canvas that a pass holds: object, momentum, direction, dose and sums of the pass.
BYTES_A_PIXEL = 64


def patch_bounds(low_px: Positions, high_px: Positions, size: int) -> Canvas:
    """Return the smallest canvas that holds the patches of all positions between two corners.

    Args:
        low_px: float64 (2,), lowest (row, column).
        high_px: float64 (2,), highest (row, column).
        size: side N of a patch.
    """
    corners, _ = patch_placement(np.stack([low_px, high_px]), size)
    return _between(corners[0], corners[1] + size)


def grown(canvas: Canvas | None, needed: Canvas) -> Canvas:
    """Return a canvas that holds what is needed; the same one where it does already.

    It grows only to the sides where it must, and there by half of its new side more.

    Args:
        canvas: so far; None for a first one, which has no spare pixels.
        needed: from `patch_bounds`.

    Raises:
        ScanDataError: it does not fit into memory.
    """
    first, end = _corners(needed)
    if canvas is not None:
        start, stop = _corners(canvas)
        below, above = first < start, end > stop
        if not (below.any() or above.any()):
            return canvas
        first, end = np.minimum(first, start), np.maximum(end, stop)
        spare = np.ceil(SPARE_SHARE * (end - first)).astype(np.int64)
        first, end = first - below * spare, end + above * spare
    height, width = (int(side) for side in end - first)
    fault = memory_fault(
        f'a canvas of {height} x {width} pixels, which the positions span,',
        float(BYTES_A_PIXEL) * height * width,
    )
    if fault:
        raise ScanDataError([f'{fault}; positions are in object pixels'])
    return _between(first, end)


def moved(image: npt.NDArray[Value], old: Canvas, new: Canvas, fill: complex) -> npt.NDArray[Value]:
    """Return an image of one canvas on another one that contains it.

    Args:
        image: (H, W) of `old`.
        old: where it lies.
        new: contains `old`.
        fill: value of the pixels beside it.
    """
    place = slices_of(old, new)
    result = np.full(new.shape, fill, image.dtype)
    result[place] = image
    return result


def slices_of(part: Canvas, whole: Canvas) -> tuple[slice, slice]:
    """Return the rows and columns of a canvas that another one, inside it, takes."""
    top, left = np.subtract(part.origin_px, whole.origin_px).tolist()
    return slice(top, top + part.shape[0]), slice(left, left + part.shape[1])


def _corners(canvas: Canvas) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first pixel of a canvas and the one behind its last."""
    first = np.asarray(canvas.origin_px, np.int64)
    return first, first + np.asarray(canvas.shape)


def _between(first: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Canvas:
    height, width = (int(side) for side in end - first)
    return Canvas((int(first[0]), int(first[1])), (height, width))
