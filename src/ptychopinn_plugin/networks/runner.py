"""A reconstruction with all its stages, the same for every backend."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import Backend, InferenceConfig
from ptychopinn_plugin.errors import Cancelled
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor, Resumption
from ptychopinn_plugin.networks.run_result import probe_factor
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.networks.stage_run import StageName, StageRun, restore_state
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.network_change import summarize_change
from ptychopinn_plugin.scan.probe_overlap import Overlap
from ptychopinn_plugin.scan.saturation import Saturation
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.diagnosis import Diagnosis, diagnose, held_out_advice, photon_advice
from ptychopinn_plugin.solver.error_estimate import estimate_quality
from ptychopinn_plugin.solver.parts.communicator import Communicator
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.reflection_start import find_reflection_start, settle
from ptychopinn_plugin.solver.start import Start, find_start
from ptychopinn_plugin.solver.trials.held_positions import PositionFault, find_position_fault


def plan_stages(inference: InferenceConfig, *, with_stage: bool) -> list[StageName]:
    """Return the stages of a reconstruction in their order; a solver stage is one pass."""
    names: list[StageName] = ['solver'] * inference.refine_iterations
    if with_stage and inference.closing_stage and names:
        names.append('network')
    return names


def stop_check(monitor: Monitor) -> Callable[[], None]:
    """Return a function that raises Cancelled once the monitor asks for a stop."""

    def check() -> None:
        if monitor.should_stop():
            raise Cancelled('stopped on request')

    return check


def build_solver(
    ops: Ops,
    scan: ScanData,
    inference: InferenceConfig,
    monitor: Monitor,
    *,
    communicator: Communicator | None = None,
    start: Start | None = None,
) -> AcceleratedSolver:
    """Build a solver whose passes raise Cancelled once the monitor asks for a stop.

    Args:
        ops: the framework.
        scan: the scan.
        inference: what to estimate, and how.
        monitor: may ask for a stop.
        communicator: of the processes that the scan is divided among; None for this one alone.
        start: of the probe; None to find it.
    """
    check = stop_check(monitor)
    return prepare_solver(ops, scan, inference, check, communicator=communicator, start=start)


def run_reconstruction(
    ops: Ops,
    scan: ScanData,
    inference: InferenceConfig,
    monitor: Monitor,
    *,
    backend: Backend,
    model: TrainedModel | None = None,
    stage: Stage | None = None,
    gate_ops: Ops | None = None,
    early: Stage | None = None,
    initial_object: npt.NDArray[np.complex64] | None = None,
    communicator: Communicator | None = None,
) -> Reconstruction:
    """Reconstruct a scan.

    Divided among several processes, all of them call this function with the same scan and settings.
    The first one returns the reconstruction, another one its part, without errors.

    Args:
        ops: the framework.
        scan: the scan; of its object guess only the shape is used, unless `initial` is product.
        inference: stages and passes.
        monitor: gets the progress after every stage.
        backend: the framework's name, for the result.
        model: the trained model, for the result.
        stage: the learned stage; None for physics alone.
        gate_ops: the framework for the gate of the stage, whose shapes change from scan to scan;
            None for `ops`.
        early: the learned stage after the second pass; None for none.
        initial_object: complex64 (H, W), finite, on the canvas of the scan, from a network; None
            for the one that `initial` names.
        communicator: of the processes that the scan is divided among; None for this one alone.

    Raises:
        Cancelled: the monitor asked for a stop.
        ReconstructionError: the numbers did not stay finite.
        CheckpointError: the monitor's state is none of this reconstruction.
    """
    started, resumed = time.perf_counter(), _resumption(monitor, communicator)
    start, found = Start(), None
    if resumed is None:
        check = stop_check(monitor)
        start = find_start(ops, scan, inference, check, communicator)
        if initial_object is None and (communicator is None or communicator.size == 1):
            found = find_reflection_start(ops, scan, inference, start, check)
            settle(start, found)
    else:
        restore_state(start, resumed.state.part('start'))
    solver = build_solver(ops, scan, inference, monitor, communicator=communicator, start=start)
    run = StageRun(
        solver,
        scan.probe,
        inference,
        start,
        stage,
        gate_ops or ops,
        model,
        backend,
        started,
        early,
    )
    if resumed is not None:
        run.resume(resumed)
    elif initial_object is not None:
        run.start_at(ops.array(initial_object))
    elif found is not None:
        run.start_from(found)
    run.execute(plan_stages(solver.config, with_stage=stage is not None), monitor)
    diagnosis = diagnose(solver)
    result = _with_diagnosis(run.result(), diagnosis)
    result = _with_saturation(result, scan)
    if diagnosis.fit in ('good', 'poor'):
        result = _with_position_fault(result, find_position_fault(solver))
    if not inference.estimate_errors or diagnosis.fit == 'failed':
        return result
    result = _with_quality(result, solver, probe_factor(solver, scan.probe))
    return dataclasses.replace(result, seconds=run.seconds())


def _resumption(monitor: Monitor, communicator: Communicator | None) -> Resumption | None:
    """Return where the reconstruction goes on, None for the beginning.

    Of several processes the first one reads it; the others get all but the images.

    Raises:
        CheckpointError: the monitor's state is none of this reconstruction.
    """
    if communicator is None or communicator.size == 1:
        return monitor.resumption()
    found = monitor.resumption() if communicator.rank == 0 else None

    def without_images() -> Resumption | None:
        return found and dataclasses.replace(found, state=found.state.without_images())

    sent = communicator.on_first(without_images)
    return found or sent


def _with_quality(
    result: Reconstruction, solver: AcceleratedSolver, probe_factor: float
) -> Reconstruction:
    """Return a result with its resolution and errors; without them where a stop is requested.

    Args:
        result: of the solver.
        solver: after its passes.
        probe_factor: what the probe of the result was multiplied by, its object divided by.
    """
    try:
        quality = estimate_quality(solver)
    except Cancelled:
        return result
    if quality is None:
        return result
    quality = quality.masked(np.isfinite(result.object_canvas), 1 / probe_factor)
    result = dataclasses.replace(result, quality=quality)
    change = summarize_change(result)
    said = [] if change is None else [change.remark]
    remarks = (*result.remarks, *said, quality.summary(result.pixel_size_m))
    overlap = Overlap.of(result.positions_px, result.probe).advice(
        quality.held_out,
        quality.held_out_unexplained,
        probe_held=not solver.refines_probe,
    )
    warning = (
        '; '.join(filter(None, (overlap, result.warning)))
        or held_out_advice(quality.held_out_unexplained)
        or photon_advice(quality.typical_phase_error)
    )
    return dataclasses.replace(result, remarks=remarks, warning=warning)


def _with_diagnosis(result: Reconstruction, diagnosis: Diagnosis) -> Reconstruction:
    """Return a result with the advice of its diagnosis, as its warning or a remark."""
    # Frames that do not determine the object are not evidence that it is right.
    if diagnosis.fit != 'good':
        return dataclasses.replace(result, warning=diagnosis.advice)
    return dataclasses.replace(result, remarks=(*result.remarks, diagnosis.advice))


def _with_saturation(result: Reconstruction, scan: ScanData) -> Reconstruction:
    """Return a result that says whether the detector was saturated: of a poor fit, the reason."""
    found = Saturation.of(scan)
    if found is None:
        return result
    if not result.warning:
        return dataclasses.replace(result, remarks=(*result.remarks, found.sentence()))
    return dataclasses.replace(result, warning=f'{found.sentence()}; {result.warning}')


def _with_position_fault(result: Reconstruction, fault: PositionFault | None) -> Reconstruction:
    """Return a result that says what the frames show of positions that were held."""
    if fault is None:
        return result
    # Of a poor fit it is the reason.
    if not fault.is_wrong and not result.warning:
        return dataclasses.replace(result, remarks=(*result.remarks, fault.sentence))
    warning = '; '.join(filter(None, (fault.sentence, result.warning)))
    return dataclasses.replace(result, warning=warning)
