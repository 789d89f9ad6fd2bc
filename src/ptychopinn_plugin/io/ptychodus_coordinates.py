"""Between our pixel coordinates and those of Ptychodus.

Ptychodus gives the middle of a patch, (N - 1) / 2 from its first pixel; here a position is where
pixel N // 2 lies. Object pixels have the same index in both.
"""

from __future__ import annotations

from ptychopinn_plugin.scan.data import PositionArray


def half_pixel(frame_size: int) -> float:
    """Return ours minus theirs: 0.5 for an even frame side, 0 for an odd one."""
    return frame_size // 2 - (frame_size - 1) / 2


def from_host(positions_px: PositionArray, frame_size: int) -> PositionArray:
    """Return our coordinates of Ptychodus' patch centres, float64 (n, 2), object pixels."""
    return positions_px + half_pixel(frame_size)


def to_host(positions_px: PositionArray, frame_size: int) -> PositionArray:
    """Return Ptychodus' patch centres of our coordinates, float64 (n, 2), object pixels."""
    return positions_px - half_pixel(frame_size)
