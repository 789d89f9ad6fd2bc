"""The sums of `position_columns` by fused loops, a few frames at a time."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.physics import fused_loops as loops
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.solver.estimators import position_columns
from ptychopinn_plugin.solver.estimators.position_columns import COUNT_FLOOR, FrameSums
from ptychopinn_plugin.solver.fused.arrays import are_single, detector, parts, pieces
from ptychopinn_plugin.solver.fused.fused_sweeps import illuminated, predicted
from ptychopinn_plugin.solver.sweeps import DeviceBatch
from ptychopinn_plugin.solver.unknowns import Unknowns


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
