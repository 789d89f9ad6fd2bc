"""The part of a reconstruction that is plotted: covered, phase ramp removed, robust ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ambiguities import phase_gradient, phase_ramp
from ptychopinn_plugin.scan import Reconstruction

COVERED = 0.02  # of the largest coverage; fainter pixels are mostly noise
WELL_COVERED = 0.15
# Shorter moves, object pixels, are rounding.
LEAST_MOVE_PX = 1e-3
# Largest length of a usual arrow, of the scanned field.
ARROW_SHARE = 0.08
MOST_ARROWS = 400
MAGNIFICATIONS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)

Image: TypeAlias = npt.NDArray[np.float64]
MaskedImage: TypeAlias = 'np.ma.MaskedArray[tuple[int, ...], np.dtype[np.floating]]'


@dataclass(frozen=True, eq=False)
class ObjectView:
    """The covered part of an object, ready to be plotted.

    Attributes:
        amplitude: float64 (h, w), masked where nothing is covered.
        phase: float64 (h, w), radians, mean and linear ramp taken off, masked likewise.
        amplitude_range: values of the darkest and the brightest colour.
        phase_range: likewise; (-pi, pi) where the phase wraps.
        extent: (left, right, bottom, top) coordinates of its edges, object pixels.
        rows: of the canvas.
        columns: of the canvas.
    """

    amplitude: MaskedImage
    phase: MaskedImage
    amplitude_range: tuple[float, float]
    phase_range: tuple[float, float]
    extent: tuple[float, float, float, float]
    rows: slice
    columns: slice

    @property
    def wraps(self) -> bool:
        """Whether the phase goes once round the circle."""
        return self.phase_range == (-np.pi, np.pi)


def object_view(reconstruction: Reconstruction) -> ObjectView:
    """Crop an object to its covered part and flatten its phase."""
    canvas, coverage = reconstruction.object_canvas, reconstruction.coverage
    covered = np.isfinite(canvas) & (coverage > COVERED)
    if not covered.any():
        covered = np.isfinite(canvas)
    rows, columns = _bounds(covered)
    part, covered = canvas[rows, columns], covered[rows, columns]
    well = covered & (coverage[rows, columns] > WELL_COVERED)
    well = well if well.any() else covered
    flat = _flattened(part, well)
    amplitude, phase = np.abs(flat), np.angle(flat)
    top, left = reconstruction.origin_px
    return ObjectView(
        amplitude=np.ma.masked_array(amplitude, ~covered),
        phase=np.ma.masked_array(phase, ~covered),
        amplitude_range=robust_range(amplitude[well]),
        phase_range=_phase_range(phase[well]),
        extent=(
            left + columns.start - 0.5,
            left + columns.stop - 0.5,
            top + rows.stop - 0.5,
            top + rows.start - 0.5,
        ),
        rows=rows,
        columns=columns,
    )


@dataclass(frozen=True, eq=False)
class PositionMoves:
    """How positions were refined, but for what all of them have in common.

    Attributes:
        nominal_px: float64 (n, 2), (row, column), pixels of the canvas.
        moved_px: float64 (n, 2), refined less nominal positions, their mean taken off.
        magnified: how many times as long arrows are drawn.
    """

    nominal_px: npt.NDArray[np.float64]
    moved_px: npt.NDArray[np.float64]
    magnified: float


def position_moves(reconstruction: Reconstruction) -> PositionMoves | None:
    """Return how positions were refined, of so many as arrows can be distinguished; None if not."""
    nominal = reconstruction.estimates.nominal_positions_px
    if nominal is None:
        return None
    moved = reconstruction.positions_px - nominal
    moved = moved - moved.mean(axis=0)
    length = float(np.sqrt(np.mean(np.sum(moved**2, axis=1))))
    if length < LEAST_MOVE_PX:
        return None
    extent = float(np.ptp(nominal, axis=0).max())
    longest = max(ARROW_SHARE * extent / length, 1.0)
    magnified = max(factor for factor in MAGNIFICATIONS if factor <= longest)
    every = -(-len(nominal) // MOST_ARROWS)
    origin = np.asarray(reconstruction.origin_px)
    return PositionMoves((nominal - origin)[::every], moved[::every], magnified)


def robust_range(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return the range of all but the outermost half per cent of values."""
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, [0.5, 99.5]))
    # A flat image would be all noise if its own range were stretched over the colours.
    if high - low < 1e-6 * max(abs(low), abs(high), 1e-6):
        return low - 0.5, high + 0.5
    return low, high


def hue_and_brightness(wave: npt.NDArray[np.complexfloating]) -> Image:
    """Return a wave (H, W) as colours (H, W, 3): hue is its phase, brightness its amplitude."""
    from matplotlib.colors import hsv_to_rgb

    amplitude = np.abs(wave)
    brightness = amplitude / (float(amplitude.max()) or 1.0)
    hue = np.angle(wave) / (2 * np.pi) % 1.0
    return np.asarray(hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.85), brightness], axis=-1)))


def _flattened(
    part: npt.NDArray[np.complex64], well: npt.NDArray[np.bool_]
) -> npt.NDArray[np.complex128]:
    """Take off mean phase and ramp, as the well covered pixels have them."""
    row, column = phase_gradient(np.where(well, part, np.nan))
    flat = np.where(np.isfinite(part), part, 0) * phase_ramp(part, (-row, -column))
    return np.asarray(flat * np.exp(-1j * np.angle(flat[well].sum())))


def _phase_range(phase: npt.NDArray[np.floating]) -> tuple[float, float]:
    low, high = robust_range(phase)
    return (-np.pi, np.pi) if high - low > 1.8 * np.pi else (low, high)


def _bounds(covered: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if not rows.size:
        return slice(0, covered.shape[0]), slice(0, covered.shape[1])
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
