"""Parts of a result, from those of the solver."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.scan import PassHistory
from ptychopinn_plugin.scan.canvas import LEAST_COVERAGE
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.gauges import probe_power


def probe_factor(solver: AcceleratedSolver, given_probe: npt.NDArray[np.complex64]) -> float:
    """Return what the probe is multiplied by, and the object divided by, in the result.

    Frames determine only the product of both, and a probe that is refined starts with their
    photons, not with those of the probe that was given. It gets these again, or the power that
    a setting asks for, so that the object is near 1 where the sample is empty.
    """
    wanted = solver.config.probe_power if solver.refines_probe else 0.0
    power = probe_power(solver.problem.ops.numpy(solver.probe))
    return math.sqrt((wanted or probe_power(given_probe)) / power) if power > 0 else 1.0


def whole_images(
    solver: AcceleratedSolver,
) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32], tuple[int, int]]:
    """Return object, dose and origin of the whole canvas, in other processes of their part."""
    problem = solver.problem
    partition, ops = problem.partition, problem.ops
    parts = (solver.canvas_object, problem.dose(solver.probe))
    whole = [partition.whole(one) for one in parts]
    images, canvas = (
        (whole, partition.whole_canvas) if partition.is_first else (parts, problem.canvas)
    )
    canvas_object, dose = (ops.numpy(image) for image in images)
    return canvas_object, dose.astype(np.float32), canvas.origin_px


def covered_pixels(dose: npt.NDArray[np.float32]) -> int:
    """Return how many pixels the probe illuminates."""
    return int(np.count_nonzero(dose > LEAST_COVERAGE * dose.max()))


def covered(
    canvas_object: npt.NDArray[np.complex64], coverage: npt.NDArray[np.float32]
) -> npt.NDArray[np.complex64]:
    """Return the object, NaN where no probe illuminates it."""
    if not np.isfinite(canvas_object).all():
        raise ReconstructionError(
            'the reconstructed object is not finite; check the scan with `ptychopinn check`, '
            'or take smaller steps (object_step = 0.2, probe_step = 0.3)'
        )
    return np.where(coverage > LEAST_COVERAGE, canvas_object, np.nan).astype(np.complex64)


def training_losses(model: TrainedModel) -> tuple[float, ...]:
    """Return the model's training losses."""
    losses = model.losses[:, 0] if model.losses.size else np.zeros(0)
    return tuple(float(loss) for loss in losses if np.isfinite(loss))


def pass_history(solver: AcceleratedSolver, inference: InferenceConfig) -> PassHistory:
    """Return the passes that the present state of a solver comes from.

    Args:
        solver: after some pass.
        inference: its settings as given.
    """
    problem = solver.problem
    scan, earlier = problem.scan, problem.scan.metadata.history
    nominal = scan.estimates.nominal_positions_px
    errors = problem.positions_px - (scan.positions_px if nominal is None else nominal)
    width_px = math.sqrt(2 * float(np.mean(np.var(errors, axis=0))))
    return PassHistory(
        iterations=solver.passes_before + solver.passes,
        subsets=len(problem.subsets),
        automatic=inference.auto,
        updates_probe=solver.refines_probe,
        moves_frames=bool(errors.any()) or earlier.moves_frames,
        # Those that a product holds are without the errors that were found before.
        position_errors_px=max(width_px, earlier.position_errors_px),
        finds_background=solver.state.now.background is not None,
    )
