"""The table of functions with fused loops; to import it imports Numba."""

from __future__ import annotations

from ptychopinn_plugin.physics import shifts
from ptychopinn_plugin.physics.processor_ops import Functions
from ptychopinn_plugin.solver import sweeps, unknowns, updates
from ptychopinn_plugin.solver.estimators import position_columns
from ptychopinn_plugin.solver.fused import (
    fused_positions,
    fused_shifts,
    fused_sweeps,
    fused_updates,
)

FUNCTIONS: Functions = {
    sweeps.add_batch: fused_sweeps.add_batch,
    sweeps.batch_misfit: fused_sweeps.batch_misfit,
    shifts.shifted_images: fused_shifts.shifted_images,
    shifts.unshifted_sum: fused_shifts.unshifted_sum,
    updates.update_object: fused_updates.update_object,
    updates.apply_gains: fused_updates.apply_gains,
    unknowns.extrapolate: fused_updates.extrapolate,
    position_columns.frame_sums: fused_positions.frame_sums,
    position_columns.affine_sums: fused_positions.affine_sums,
}
