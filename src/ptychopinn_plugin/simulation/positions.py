"""Scan positions."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.config.simulation import SimulationConfig
from ptychopinn_plugin.scan.data import PositionArray

GOLDEN_ANGLE_RAD = np.pi * (3 - np.sqrt(5))
ENCODER_DIGITS = 6  # of a pixel, as an encoder would round them


def make_offsets(config: SimulationConfig, rng: np.random.Generator) -> PositionArray:
    """Make the positions of a scan about its centre.

    A raster goes row by row. A spiral is Fermat's, from the centre outwards, with one frame per
    `step_px**2` as in the raster.

    Returns:
        float64 (n, 2), (row, column), object pixels, with the scan's centre at (0, 0).
    """
    if config.scan_pattern == 'spiral':
        return np.round(_spiral(config.rows * config.columns, config.step_px), ENCODER_DIGITS)
    rows = np.arange(config.rows) - (config.rows - 1) / 2
    columns = np.arange(config.columns) - (config.columns - 1) / 2
    grid = np.stack(np.meshgrid(rows, columns, indexing='ij'), axis=-1).reshape(-1, 2)
    offsets = grid * config.step_px
    if config.scan_pattern == 'jittered':
        offsets += rng.uniform(-config.jitter_px, config.jitter_px, offsets.shape)
    return np.round(offsets, ENCODER_DIGITS)


def place_on_canvas(
    offsets: PositionArray, frame_size: int, margin_px: int = 4
) -> tuple[PositionArray, tuple[int, int]]:
    """Put a scan in the middle of the smallest canvas that holds every patch and a margin.

    Args:
        offsets: float64 (n, 2), (row, column), object pixels about the scan's centre.
        frame_size: N, even; a patch reaches N/2 pixels from its position.
        margin_px: pixels between the outermost patch and the border.

    Returns:
        positions float64 (n, 2) in pixels of the canvas, and its shape (H, W).
    """
    reach = np.ceil(np.abs(offsets).max(axis=0)).astype(int) + frame_size // 2 + margin_px
    return offsets + reach, (2 * int(reach[0]), 2 * int(reach[1]))


def _spiral(frames: int, step_px: float) -> PositionArray:
    index = np.arange(frames)
    radius = step_px * np.sqrt((index + 0.5) / np.pi)
    angle = index * GOLDEN_ANGLE_RAD
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1)
