"""Frames around a point of a scan."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.data import PositionArray, ScanData


def nearest_frames(
    positions_px: PositionArray,
    center_px: npt.NDArray[np.float64],
    number: int,
    *,
    square: bool = False,
) -> npt.NDArray[np.int64]:
    """Return the frames nearest to a point, the nearest first, int64 (number,) or fewer.

    Args:
        positions_px: float64 (n, 2), (row, column).
        center_px: float64 (2,), the point.
        number: how many.
        square: whether the larger of both distances counts, so that they fill a square, not a disc.
    """
    norm = np.inf if square else 2
    distance = np.linalg.norm(positions_px - center_px, ord=norm, axis=1)
    return np.argsort(distance, kind='stable')[:number].astype(np.int64)


def middle_frames(scan: ScanData, number: int, *, square: bool = False) -> ScanData:
    """Return the frames around the median position of a scan, on a canvas of their own.

    Args:
        scan: the scan.
        number: how many frames.
        square: see `nearest_frames`.
    """
    center = np.median(scan.positions_px, axis=0)
    nearest = nearest_frames(scan.positions_px, center, number, square=square)
    return dataclasses.replace(scan.subset(np.sort(nearest)), object_guess=None)
