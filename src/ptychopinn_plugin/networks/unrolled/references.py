"""References of a training: reconstructions of its scans by physics alone, from all photons."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np

from ptychopinn_plugin.config import InferenceConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import build_solver
from ptychopinn_plugin.networks.unrolled.episodes import TrainingScan
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData

logger = logging.getLogger(__name__)


def reconstruct_reference(
    ops: Ops, scan: ScanData, training: TrainingConfig, monitor: Monitor
) -> TrainingScan:
    """Reconstruct a scan by physics alone: the reference of its training."""
    inference = InferenceConfig(
        refine_iterations=training.reference_passes,
        update_probe='on' if training.update_probe else 'off',
    )
    solver = build_solver(ops, scan, inference, monitor)
    for _ in range(inference.refine_iterations):
        solver.one_pass()
    residual = solver.finish()
    reference = ops.numpy(solver.canvas_object)
    probe = ops.numpy(solver.probe).astype(np.complex64)
    logger.info('%s: reference by physics alone, residual %.5f', scan.source, residual)
    scan = dataclasses.replace(scan, probe=probe)
    return TrainingScan.from_scan(
        scan, reference, solver.problem.canvas, training.validation_fraction
    )
