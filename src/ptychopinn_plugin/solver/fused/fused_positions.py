"""The functions of `position_columns` by fused loops, a few frames at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ptychopinn_plugin.physics import position_loops as loops
from ptychopinn_plugin.physics.fused_loops import scaled_exit_waves
from ptychopinn_plugin.physics.noise_models import AMPLITUDE, NoiseModel
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.solver.estimators import position_columns
from ptychopinn_plugin.solver.estimators.position_columns import (
    COLUMNS,
    COUNT_FLOOR,
    AffineSums,
    FrameSums,
    Geometry,
)
from ptychopinn_plugin.solver.fused.arrays import (
    Detector,
    Floats,
    are_single,
    detector,
    parts,
    pieces,
)
from ptychopinn_plugin.solver.fused.fused_sweeps import Waves, illuminated, predicted
from ptychopinn_plugin.solver.sweeps import DeviceBatch
from ptychopinn_plugin.solver.unknowns import Unknowns

# Detector pixels of the frames whose columns are computed together: waves, their change and a
# column stay in the level-two cache.
COLUMN_PIXELS = 2**16


def frame_sums(
    ops: ProcessorOps,
    unknowns: Unknowns,
    slopes: tuple[Array, Array],
    batch: DeviceBatch,
    good: Array | None,
    modes: int | None = None,
) -> FrameSums:
    """Return score and information of each frame, see `position_columns.frame_sums`."""
    if not are_single(unknowns, batch):
        return position_columns.frame_sums(ops, unknowns, slopes, batch, good, modes)
    seen, found = detector(unknowns, good), []
    for _, frames in pieces(batch):
        view = predicted(ops, unknowns, frames, seen)
        probes = np.ascontiguousarray(view.probes[:, :modes])
        row, column = (illuminated(ops, slope, frames, probes) for slope in slopes)
        sums = np.empty((len(FrameSums._fields), len(view.flux)), np.float32)
        loops.position_sums(
            parts(view.waves),
            (parts(row), parts(column)),
            frames.amplitudes,
            view.flux,
            seen.background,
            seen.good,
            np.float32(COUNT_FLOOR),
            sums,
        )
        found.append(sums)
    return FrameSums(*np.concatenate(found, axis=1))


def affine_sums(
    ops: ProcessorOps,
    unknowns: Unknowns,
    slopes: tuple[Array, Array],
    batch: DeviceBatch,
    good: Array | None,
    geometry: Geometry,
    noise: NoiseModel,
    modes: int | None = None,
) -> AffineSums:
    """Return the sums of the columns of an affine change, see `position_columns.affine_sums`."""
    if not are_single(unknowns, batch):
        return position_columns.affine_sums(
            ops, unknowns, slopes, batch, good, geometry, noise, modes
        )
    seen, products = detector(unknowns, good), np.zeros((COLUMNS + 1, COLUMNS + 1))
    spread = np.zeros(COLUMNS)
    for _, frames in pieces(batch, COLUMN_PIXELS):
        view = _view(ops, unknowns, frames, seen, noise, modes)
        columns = [
            *_moved_columns(ops, view, slopes, frames, geometry),
            *_probe_columns(ops, view, unknowns.canvas_object, frames, geometry),
            view.root,
            view.root * geometry.falloff,
            view.residual,
        ]
        flat = np.stack([column.reshape(-1) for column in columns])
        loops.column_sums(flat, products, spread)
    of_two = products[np.triu_indices(COLUMNS)]
    return AffineSums(tuple(products[:COLUMNS, COLUMNS]), tuple(spread), tuple(of_two))


class _View(NamedTuple):
    """A few frames as predicted, ready for columns.

    Attributes:
        found: the prediction, of all modes.
        probes: complex64 (b, k, N, N), over N, the modes that columns are made of.
        weight: float32 (b, N, N), flux / sqrt(E), 0 at bad pixels.
        root: float32 (b, N, N), sqrt(E) with the floor, 0 at bad pixels.
        residual: float32 (b, N, N), 0 at bad pixels.
    """

    found: Waves
    probes: Array
    weight: Floats
    root: Floats
    residual: Floats

    def column(self, waves: Array) -> Floats:
        """Return the derivative of sqrt(E) along a change of the waves (b, k, N, N)."""
        values = np.empty_like(self.weight)
        loops.modulus_column(parts(self.found.waves), parts(waves), self.weight, values)
        return values


def _view(
    ops: ProcessorOps,
    unknowns: Unknowns,
    frames: DeviceBatch,
    seen: Detector,
    noise: NoiseModel,
    modes: int | None,
) -> _View:
    """Predict a few frames and take their residual."""
    found = predicted(ops, unknowns, frames, seen)
    weight, root, residual = (np.empty_like(frames.amplitudes) for _ in range(3))
    loops.modulus_residuals(
        parts(found.waves),
        frames.amplitudes,
        found.flux,
        seen.background,
        seen.good,
        np.float32(COUNT_FLOOR),
        noise.name == AMPLITUDE.name,
        (weight, root, residual),
    )
    probes = np.ascontiguousarray(found.probes[:, :modes])
    return _View(found, probes, weight, root, residual)


def _moved_columns(
    ops: ProcessorOps,
    view: _View,
    slopes: tuple[Array, Array],
    frames: DeviceBatch,
    geometry: Geometry,
) -> list[Floats]:
    """Return the columns of scale, rotation, aspect, shear and a common shift."""
    y = geometry.rows[:, 0] - frames.shifts_px[:, :1]
    x = geometry.columns[0] - frames.shifts_px[:, 1:]
    plain = np.ones_like(y)

    def column(slope: Array, rows: Floats, columns: Floats) -> Floats:
        waves = np.empty_like(view.probes)
        scaled_exit_waves(
            parts(slope), frames.corners, parts(view.probes), rows, columns, parts(waves)
        )
        return view.column(ops.fft2_of_scratch(waves))

    row, across = slopes
    yy, yx, along_rows = (column(row, *one) for one in ((y, plain), (plain, x), (plain, plain)))
    xy, xx, along_columns = (
        column(across, *one) for one in ((y, plain), (plain, x), (plain, plain))
    )
    return [-yy - xx, xy - yx, xx - yy, -yx - xy, along_rows, along_columns]


def _probe_columns(
    ops: ProcessorOps,
    view: _View,
    canvas_object: Array,
    frames: DeviceBatch,
    geometry: Geometry,
) -> list[Floats]:
    """Return the columns of quadratic phases in the probe's Fourier transform."""
    # The transforms there and back multiply by the number of pixels.
    spectra = ops.fft2_unscaled(view.probes) / np.float32(geometry.falloff.size)
    found = []
    for phases in geometry.phases:
        probes = ops.ifft2_of_scratch(spectra * phases)
        found.append(view.column(illuminated(ops, canvas_object, frames, probes)))
    return found
