"""Orientation of the scan axes against the detector axes.

A scan recorded with an axis reversed or with its axes swapped still converges, to something a
little blurred; the frames stay as they are and the positions are transposed or flipped.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.scan.data import ComplexArray, PositionArray, ScanData

# A decision, and a line in the comments of a product, begins so; products of earlier versions are
# recognised by it, so its words stay.
ORIENTED = 'positions were turned as asked for: '


def orient(scan: ScanData, orientation: OrientationConfig) -> ScanData:
    """Return the scan with its positions transposed and flipped; frames and probe stay.

    The transpose comes first, then the flips: `flip_x` reverses the columns and `flip_y` the rows
    of the transposed positions. Flips are taken about the middle of the scan's bounding box, which
    therefore stays where it is; a transpose swaps rows and columns, box and canvas with them.

    The content of an object guess belongs to the old positions and is dropped: a canvas of ones of
    its (transposed) shape is kept. The size of a pixel follows from the detector and stays: where
    it is known and not square, a transpose swaps metres, not pixels. Frames and true patches stay.

    Args:
        scan: the scan as read.
        orientation: which operations to apply.
    """
    if not orientation.operations:
        return scan
    metadata = scan.metadata
    if orientation.transpose:
        center = metadata.object_center_m
        metadata = dataclasses.replace(
            metadata, object_center_m=None if center is None else (center[1], center[0])
        )
    decision = ORIENTED + ', '.join(name.replace('_', ' ') for name in orientation.operations)
    if scan.object_guess is not None and np.any(scan.object_guess != 1):
        decision += '; the object guess belonged to the old positions and only its canvas was kept'
    positions_px = orient_positions(scan.positions_px, orientation)
    stretch = _stretch(metadata.pixel_size_m) if orientation.transpose else np.ones(2)
    return dataclasses.replace(
        scan,
        positions_px=positions_px * stretch,
        object_guess=_blank(scan.object_guess, orientation.transpose, stretch),
        metadata=metadata,
        estimates=dataclasses.replace(scan.estimates, nominal_positions_px=None),
        decisions=(*scan.decisions, decision),
    )


def orient_positions(positions_px: PositionArray, orientation: OrientationConfig) -> PositionArray:
    """Return positions (n, 2) transposed first, then flipped within their own bounding box."""
    oriented = positions_px[:, ::-1].copy() if orientation.transpose else positions_px.copy()
    for axis, flip in ((0, orientation.flip_y), (1, orientation.flip_x)):
        if flip:
            along = oriented[:, axis]
            oriented[:, axis] = along.min() + along.max() - along
    return oriented


def orientation_decision(scan: ScanData) -> str:
    """Return the decision to orient a scan's positions, '' where they are as read."""
    found = [decision for decision in scan.decisions if decision.startswith(ORIENTED)]
    return found[-1].partition(';')[0] if found else ''


def _stretch(pixel_size_m: tuple[float, float] | None) -> PositionArray:
    """Return the factors of (row, column) that a transpose needs where pixels are not square."""
    if pixel_size_m is None:
        return np.ones(2)
    height, width = pixel_size_m
    return np.array([width / height, height / width])


def _blank(
    guess: ComplexArray | None, transpose: bool, stretch: PositionArray
) -> ComplexArray | None:
    if guess is None:
        return None
    shape = guess.shape[::-1] if transpose else guess.shape
    # Rounded first: 100.0000001 pixels are 100.
    rows, columns = (int(side) for side in np.ceil(np.round(shape * stretch, 6)))
    return np.ones((rows, columns), dtype=np.complex64)
