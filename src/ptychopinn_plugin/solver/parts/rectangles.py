"""Rectangles of a plane of pixels, and its division among processes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.int64]


class Rectangle(NamedTuple):
    """Rows top to bottom - 1 and columns left to right - 1 of a plane.

    Attributes:
        top: first row.
        left: first column.
        bottom: row after the last one.
        right: column after the last one.
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), 0 where the rectangle is empty."""
        return max(self.bottom - self.top, 0), max(self.right - self.left, 0)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        height, width = self.shape
        return height * width

    def overlap(self, other: Rectangle) -> Rectangle:
        """Return the pixels that lie in both."""
        return Rectangle(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def around(self, other: Rectangle) -> Rectangle:
        """Return the smallest rectangle that holds both."""
        return Rectangle(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def inside(self, outer: Rectangle) -> tuple[slice, slice]:
        """Return the rows and columns of an array of the outer rectangle that lie in this one."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )


def divide_plane(
    centres: npt.NDArray[np.float64], plane: Rectangle, count: int
) -> list[tuple[Frames, Rectangle]]:
    """Divide a plane into rectangles that hold about as many frames each.

    Recursive bisection: the longer side is cut where the shares of the frames are those of the
    processes on either side.

    Args:
        centres: float64 (n, 2), (row, column) of each frame's centre, pixels of the plane.
        plane: the plane.
        count: of rectangles, at most n.

    Returns:
        The frames of each rectangle, int64, ascending, at least one, and the rectangle. The
        rectangles do not overlap and cover the plane.
    """
    return _divided(np.arange(len(centres)), centres, plane, count)


def _divided(
    frames: Frames, centres: npt.NDArray[np.float64], plane: Rectangle, count: int
) -> list[tuple[Frames, Rectangle]]:
    if count == 1:
        return [(np.sort(frames), plane)]
    height, width = plane.shape
    axis = 0 if height >= width else 1
    order = frames[np.argsort(centres[frames, axis], kind='stable')]
    first = count // 2
    # At least as many frames as rectangles on either side.
    held = min(max(round(len(order) * first / count), first), len(order) - (count - first))
    before, after = order[:held], order[held:]
    line = round((float(centres[before[-1], axis]) + float(centres[after[0], axis])) / 2)
    line = min(max(line, plane[axis]), plane[axis + 2])
    low = plane._replace(bottom=line) if axis == 0 else plane._replace(right=line)
    high = plane._replace(top=line) if axis == 0 else plane._replace(left=line)
    return [
        *_divided(before, centres, low, first),
        *_divided(after, centres, high, count - first),
    ]
