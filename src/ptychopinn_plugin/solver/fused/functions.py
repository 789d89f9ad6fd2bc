"""The table of functions with fused loops; to import it imports Numba."""

from __future__ import annotations

from ptychopinn_plugin.physics.processor_ops import Functions
from ptychopinn_plugin.solver import sweeps
from ptychopinn_plugin.solver.fused import fused_sweeps

FUNCTIONS: Functions = {
    sweeps.add_batch: fused_sweeps.add_batch,
    sweeps.batch_misfit: fused_sweeps.batch_misfit,
}
