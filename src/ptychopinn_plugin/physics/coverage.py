"""How much of the light each object pixel got."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.canvas import patch_placement


def coverage_of(
    positions_px: npt.NDArray[np.float64],
    probe: npt.NDArray[np.complex64],
    shape: tuple[int, int],
    origin_px: tuple[int, int] = (0, 0),
) -> npt.NDArray[np.float32]:
    """Return the summed |probe|^2 over frames, relative to its maximum.

    Args:
        positions_px: float64 (n, 2), (row, column); pixel N//2 of a patch lies on a position.
        probe: complex64 (modes, N, N).
        shape: (H, W) of the canvas.
        origin_px: coordinate of its first pixel.

    Returns:
        float32 (H, W), 0 to 1; what falls outside the canvas is left out.
    """
    size = probe.shape[-1]
    light = np.sum(np.abs(probe) ** 2, axis=0, dtype=np.float64)
    # A border as wide as a frame takes what falls outside.
    wide = np.zeros((shape[0] + 2 * size, shape[1] + 2 * size))
    corners, _ = patch_placement(positions_px, size)
    corners += size - np.asarray(origin_px)
    inside = np.all((corners >= 0) & (corners <= np.array(wide.shape) - size), axis=1)
    for row, column in corners[inside]:
        wide[row : row + size, column : column + size] += light
    coverage = wide[size : size + shape[0], size : size + shape[1]]
    return np.asarray(coverage / (coverage.max() or 1.0), dtype=np.float32)
