"""Rows of HDF5 datasets that were never written: they hold the fill value of the dataset only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.frame_chunks import frame_numbers
from ptychopinn_plugin.scan.frame_source import FrameSource


def rows_with_values(rows: npt.NDArray[Any], fill_value: float) -> npt.NDArray[np.bool_]:
    """Return which rows (b, ...) hold something else than the fill value, bool (b,)."""
    flat = rows.reshape(len(rows), -1) if rows.size else np.zeros((len(rows), 0), rows.dtype)
    has_no_number = rows.dtype.kind == 'f' and bool(np.isnan(fill_value))
    empty = np.isnan(flat) if has_no_number else flat == fill_value
    return ~np.asarray(empty.all(axis=1), np.bool_)


def frames_without_values(
    frames: npt.NDArray[Any] | FrameSource, fill_value: float
) -> npt.NDArray[np.bool_]:
    """Return which frames (n, H, W) were never written, bool (n,).

    With a fill value of 0 no frame is reported and none is read: frames without any count are left
    out by their light.

    Args:
        frames: as stored; a source is read through once.
        fill_value: of the dataset.
    """
    count = frames.shape[0]
    if fill_value == 0:
        return np.zeros(count, np.bool_)
    nbytes = frames.dtype.itemsize * count * frames.shape[1] * frames.shape[2]
    empty = [
        ~rows_with_values(
            frames[some] if isinstance(frames, np.ndarray) else frames.read(some), fill_value
        )
        for some in frame_numbers(count, nbytes)
    ]
    return np.concatenate([np.zeros(0, np.bool_), *empty])
