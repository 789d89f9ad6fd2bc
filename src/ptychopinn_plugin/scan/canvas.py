"""The object canvas of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.data import ScanData

# Share of the greatest dose below which a pixel counts as not reached by the probe.
LEAST_COVERAGE = 1e-4


@dataclass(frozen=True)
class Canvas:
    """A rectangle of object pixels.

    Attributes:
        origin_px: (row, column) coordinate of pixel (0, 0), object pixels.
        shape: (H, W).
    """

    origin_px: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def for_scan(cls, scan: ScanData) -> Canvas:
        """Return the smallest canvas that holds the object guess and every patch.

        A patch starts at round(position) - N//2. A given guess starts at coordinate (0, 0), so the
        origin moves only for patches that lie above or left of it. Without a guess the canvas
        starts at (0, 0) where the first patch lies within one frame of it, else at the first patch.
        """
        corners, _ = patch_placement(scan.positions_px, scan.frame_size)
        first = corners.min(axis=0)
        end = corners.max(axis=0) + scan.frame_size
        if scan.object_guess is not None:
            start = np.minimum(0, first)
            end = np.maximum(end, scan.object_guess.shape)
        else:
            near = (first >= 0) & (first <= scan.frame_size)
            start = np.where(near, 0, first)
        height, width = (int(side) for side in end - start)
        return cls((int(start[0]), int(start[1])), (height, width))

    def with_margin(self, scan: ScanData, margin_px: int) -> Canvas:
        """Return a canvas that also holds a margin around every patch, itself without a margin.

        Args:
            scan: whose patches it holds.
            margin_px: pixels on each side of a patch.
        """
        if not margin_px:
            return self
        corners, _ = patch_placement(scan.positions_px, scan.frame_size)
        start = np.asarray(self.origin_px)
        first = np.minimum(start, corners.min(axis=0) - margin_px)
        last = np.maximum(start + self.shape, corners.max(axis=0) + scan.frame_size + margin_px)
        height, width = (int(side) for side in last - first)
        return Canvas((int(first[0]), int(first[1])), (height, width))


def patch_placement(
    positions_px: npt.NDArray[np.float64], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Split positions into the whole pixels where patches start and the sub-pixel rest.

    Args:
        positions_px: float64 (n, 2), (row, column), object pixels.
        size: side N of a patch.

    Returns:
        The coordinate of each patch's pixel (0, 0), round(position) - N//2, int64 (n, 2); the
        sub-pixel rest, by which its probe is shifted, float32 (n, 2).
    """
    # In float64: float32 would lose the sub-pixel rest far from the origin.
    nearest = np.rint(positions_px)
    corners = nearest.astype(np.int64) - size // 2
    return corners, (positions_px - nearest).astype(np.float32)


def scanned_core(
    positions_px: npt.NDArray[np.float64], origin_px: tuple[int, int] = (0, 0), margin: int = 0
) -> tuple[slice, slice]:
    """Return the rows and columns of a canvas between the outermost positions.

    Args:
        positions_px: float64 (n, 2), (row, column).
        origin_px: the coordinate of pixel (0, 0) of the canvas.
        margin: pixels left out on each side.
    """
    low = np.ceil(positions_px.min(axis=0)).astype(int) - origin_px + margin
    high = np.floor(positions_px.max(axis=0)).astype(int) - origin_px + 1 - margin
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
