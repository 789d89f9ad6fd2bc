"""References of a training: reconstructions of its scans by physics alone, from all photons."""

from __future__ import annotations

import dataclasses
import logging
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig, TrainingConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import build_solver
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas

logger = logging.getLogger(__name__)


class Reference(NamedTuple):
    """A scan and what physics reconstructs of it.

    Attributes:
        scan: with the probe that was refined, if any.
        canvas_object: complex64 (H, W).
        canvas: of the object.
    """

    scan: ScanData
    canvas_object: npt.NDArray[np.complex64]
    canvas: Canvas


def reconstruct_reference(
    ops: Ops, scan: ScanData, training: TrainingConfig, monitor: Monitor
) -> Reference:
    """Reconstruct a scan by physics alone: the reference of its training.

    Raises:
        Cancelled: the monitor asked for a stop.
    """
    inference = InferenceConfig(
        refine_iterations=training.reference_passes,
        update_probe='on' if training.update_probe else 'off',
    )
    solver = build_solver(ops, scan, inference, monitor)
    for _ in range(inference.refine_iterations):
        solver.one_pass()
    residual = solver.finish()
    probe = ops.numpy(solver.probe).astype(np.complex64)
    logger.info('%s: reference by physics alone, residual %.5f', scan.source, residual)
    scan = dataclasses.replace(scan, probe=probe)
    return Reference(scan, ops.numpy(solver.canvas_object), solver.problem.canvas)
