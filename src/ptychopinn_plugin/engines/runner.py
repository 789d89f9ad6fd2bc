"""A reconstruction from start to end, the same for every backend."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import Backend, InferenceConfig
from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.engines.protocol import Monitor, Progress, Reconstruction
from ptychopinn_plugin.errors import Cancelled, ReconstructionError
from ptychopinn_plugin.model_file import TrainedModel, weights_fingerprint
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver import AcceleratedSolver, Problem

logger = logging.getLogger(__name__)

Step: TypeAlias = Literal['solver', 'network']
# Maps (object, preconditioned gradient image, dose), all (H, W), to the changed object.
Stage: TypeAlias = Callable[[Array, Array, Array], Array]
# Share of the greatest dose below which a pixel counts as not reached by the probe.
LEAST_COVERAGE = 1e-4


def plan(inference: InferenceConfig, *, with_stage: bool) -> list[Step]:
    """Return the steps of a reconstruction in their order."""
    steps: list[Step] = []
    if with_stage:
        for _ in range(inference.stages):
            steps.extend(['solver'] * inference.stage_passes)
            steps.append('network')
    steps.extend(['solver'] * inference.refine_iterations)
    if with_stage and inference.closing_stage and steps and steps[-1] == 'solver':
        steps.append('network')
    return steps


def stop_check(monitor: Monitor) -> Callable[[], None]:
    """Return a function that raises Cancelled once the monitor asks for a stop."""

    def check() -> None:
        if monitor.should_stop():
            raise Cancelled('stopped on request')

    return check


def run_reconstruction(
    ops: Ops,
    scan: ScanData,
    inference: InferenceConfig,
    monitor: Monitor,
    *,
    backend: Backend,
    model: TrainedModel | None = None,
    stage: Stage | None = None,
) -> Reconstruction:
    """Reconstruct a scan.

    Args:
        ops: the framework.
        scan: the scan; of its object guess only the shape counts.
        inference: what to do.
        monitor: hears of every step.
        backend: the framework's name, for the result.
        model: whose stage it is, for the result.
        stage: the learned stage; None for physics alone.

    Raises:
        Cancelled: the monitor asked for a stop.
        ReconstructionError: the numbers did not stay finite.
    """
    began = time.perf_counter()
    problem = Problem.of(
        ops,
        scan,
        inference.subsets,
        fixed_probe=not inference.update_probe,
        check=stop_check(monitor),
    )
    solver = AcceleratedSolver(problem, inference)
    steps = plan(inference, with_stage=stage is not None)
    residuals, names = _run_steps(solver, steps, stage, monitor, began)
    dose = ops.numpy(problem.dose(solver.probe)).astype(np.float32)
    coverage = dose / max(float(dose.max()), 1e-30)
    return Reconstruction(
        object_canvas=_covered(ops.numpy(solver.canvas_object), coverage),
        origin_px=problem.canvas.origin_px,
        probe=ops.numpy(solver.probe).astype(np.complex64),
        coverage=coverage,
        residual=np.asarray(residuals, np.float64),
        stages=tuple(names),
        backend=backend,
        seconds=time.perf_counter() - began,
        model_name='' if model is None else weights_fingerprint(model),
        losses=() if model is None else _history(model),
    )


def _run_steps(
    solver: AcceleratedSolver,
    steps: list[Step],
    stage: Stage | None,
    monitor: Monitor,
    began: float,
) -> tuple[list[float], list[Step]]:
    """Do every step; return the residual met in each pass and, last, that of the result."""
    residuals: list[float] = []
    names: list[Step] = []
    for number, step in enumerate(steps, 1):
        if step == 'solver':
            residuals.append(solver.one_pass())
            names.append(step)
        elif stage is not None:
            if number == len(steps):
                solver.finish()
            apply_stage(solver, stage)
        monitor.on_progress(
            Progress(step, number, len(steps), residuals[-1], None, time.perf_counter() - began)
        )
    if steps:
        closed = steps[-1] == 'network'
        residuals.append(solver.residual() if closed else solver.finish())
        names.append(steps[-1])
    return residuals, names


def apply_stage(solver: AcceleratedSolver, stage: Stage) -> None:
    """Let a learned stage change the solver's object."""
    direction, dose = solver.direction()
    solver.change_object(lambda canvas_object: stage(canvas_object, direction, dose))


def _covered(
    canvas_object: npt.NDArray[np.complex64], coverage: npt.NDArray[np.float32]
) -> npt.NDArray[np.complex64]:
    """Return the object, NaN where no probe reached."""
    if not np.isfinite(canvas_object).all():
        raise ReconstructionError(
            'the reconstructed object is not finite; check the scan with `ptychopinn check`, '
            'or lower --object-step and --probe-step'
        )
    return np.where(coverage > LEAST_COVERAGE, canvas_object, np.nan).astype(np.complex64)


def _history(model: TrainedModel) -> tuple[float, ...]:
    """Return the model's training losses."""
    losses = model.losses[:, 0] if model.losses.size else np.zeros(0)
    return tuple(float(loss) for loss in losses if np.isfinite(loss))
