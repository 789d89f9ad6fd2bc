"""A reconstruction with all its stages, the same for every backend."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin import __version__
from ptychopinn_plugin.config import Backend, InferenceConfig
from ptychopinn_plugin.config.used_settings import settings_lines
from ptychopinn_plugin.errors import (
    Cancelled,
    CheckpointError,
    ConfigError,
    PtychoPINNError,
    ReconstructionError,
)
from ptychopinn_plugin.io.model_file import TrainedModel, weights_fingerprint
from ptychopinn_plugin.io.reading_errors import describe
from ptychopinn_plugin.monitor import Monitor, Progress, Resumption
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.networks.unrolled.scan_gate import measure_gate
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.canvas import LEAST_COVERAGE
from ptychopinn_plugin.scan.frame_outliers import left_out_decisions
from ptychopinn_plugin.scan.network_change import summarize_change
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.diagnosis import Diagnosis, diagnose, held_out_advice
from ptychopinn_plugin.solver.early_stop import EarlyStop
from ptychopinn_plugin.solver.error_estimate import estimate_quality
from ptychopinn_plugin.solver.estimators.gauges import probe_power
from ptychopinn_plugin.solver.parts.communicator import Communicator
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.start import Start, find_start
from ptychopinn_plugin.solver.starting_estimates import found_estimates
from ptychopinn_plugin.solver.trials.held_positions import PositionFault, find_position_fault

logger = logging.getLogger(__name__)

StageName: TypeAlias = Literal['solver', 'network']


def plan_stages(inference: InferenceConfig, *, with_stage: bool) -> list[StageName]:
    """Return the stages of a reconstruction in their order; a solver stage is one pass."""
    names: list[StageName] = ['solver'] * inference.refine_iterations
    if with_stage and inference.closing_stage and names:
        names.append('network')
    return names


def _without_passes(names: list[StageName], most: int | None = None) -> list[StageName]:
    """Return stages without the passes that they begin with, or as many of them at most."""
    passes = len(list(itertools.takewhile(lambda name: name == 'solver', names)))
    return names[passes if most is None else min(most, passes) :]


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
        initial_object: complex64 (H, W), finite, on the canvas of the scan, from a network; None
            for the one that `initial` names.
        communicator: of the processes that the scan is divided among; None for this one alone.

    Raises:
        Cancelled: the monitor asked for a stop.
        ReconstructionError: the numbers did not stay finite.
        CheckpointError: the monitor's state is none of this reconstruction.
    """
    started, resumed = time.perf_counter(), _resumption(monitor, communicator)
    start = Start()
    if resumed is None:
        from_network = initial_object is not None
        check = stop_check(monitor)
        start = find_start(ops, scan, inference, check, from_network, communicator)
    else:
        _restore(start, resumed.state.part('start'))
    solver = build_solver(ops, scan, inference, monitor, communicator=communicator, start=start)
    run = _Run(
        solver, scan.probe, inference, start, stage, gate_ops or ops, model, backend, started
    )
    if resumed is not None:
        run.resume(resumed)
    elif initial_object is not None:
        run.start_at(ops.array(initial_object))
    run.execute(plan_stages(inference, with_stage=stage is not None), monitor)
    diagnosis = diagnose(solver)
    result = _with_diagnosis(run.result(), diagnosis)
    if diagnosis.verdict in ('good', 'poor'):
        result = _with_position_fault(result, find_position_fault(solver))
    if not inference.estimate_errors or diagnosis.verdict == 'failed':
        return result
    result = _with_quality(result, solver, run.probe_factor())
    return dataclasses.replace(result, seconds=run.seconds())


def _resumption(monitor: Monitor, communicator: Communicator | None) -> Resumption | None:
    """Return where the reconstruction goes on, None for the beginning.

    Raises:
        ConfigError: several processes are to keep their state.
    """
    if communicator is not None and communicator.size > 1 and monitor.wants_state(last=True):
        raise ConfigError(
            'a reconstruction in several processes keeps no checkpoints; take one process, or '
            'leave the checkpoint away'
        )
    return monitor.resumption()


def _restore(restored: Stateful, state: SavedState) -> None:
    """Go on from a state.

    Raises:
        CheckpointError: it is the state of something else.
    """
    try:
        restored.restore(state)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, PtychoPINNError):
            raise
        raise CheckpointError(
            f'the checkpoint is none of this reconstruction ({describe(error)}); leave resume '
            'away to start anew'
        ) from error


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
    warning = result.warning or held_out_advice(quality.held_out_unexplained)
    return dataclasses.replace(result, remarks=remarks, warning=warning)


def _with_diagnosis(result: Reconstruction, diagnosis: Diagnosis) -> Reconstruction:
    """Return a result that says what the frames say of it."""
    # Frames that do not determine the object are no reason to trust it.
    if diagnosis.verdict != 'good':
        return dataclasses.replace(result, warning=diagnosis.advice)
    return dataclasses.replace(result, remarks=(*result.remarks, diagnosis.advice))


def _with_position_fault(result: Reconstruction, fault: PositionFault | None) -> Reconstruction:
    """Return a result that says what the frames show of positions that were held."""
    if fault is None:
        return result
    if not fault.is_wrong:
        return dataclasses.replace(result, remarks=(*result.remarks, fault.sentence))
    warning = '; '.join(filter(None, (fault.sentence, result.warning)))
    return dataclasses.replace(result, warning=warning)


@dataclass(eq=False)
class _Run(Stateful):
    """State of a reconstruction: the solver, what was given, and the residuals so far.

    Attributes:
        end: why passes were left out, '' as long as none were.
    """

    saved_fields: ClassVar = (
        'solver',
        'start',
        'early_stop',
        'residuals',
        'names',
        'reasons',
        'end',
    )

    solver: AcceleratedSolver
    given_probe: npt.NDArray[np.complex64]
    inference: InferenceConfig
    start: Start
    stage: Stage | None
    gate_ops: Ops
    model: TrainedModel | None
    backend: Backend
    started: float
    residuals: list[float] = field(default_factory=list)
    names: list[StageName] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    end: str = ''
    # complex64 (H, W) on the whole canvas, in the scale of the solver's object.
    network_change: npt.NDArray[np.complex64] | None = None
    early_stop: EarlyStop = field(init=False)

    def __post_init__(self) -> None:
        """Look at residuals from the first pass on."""
        self.early_stop = EarlyStop.for_solver(self.solver)

    def saved_state(self) -> SavedState:
        """Return the state after a pass."""
        so_far = SavedState.of(seconds=self.seconds())
        return SavedState.joined({'': super().saved_state(), 'so far': so_far})

    def restore(self, state: SavedState) -> None:
        """Go on from a state; seconds count from the first beginning."""
        super().restore(state)
        self.started -= state.part('so far').number('seconds')

    def resume(self, resumed: Resumption) -> None:
        """Go on from a saved state, perhaps with other settings.

        Raises:
            CheckpointError: it is the state of another reconstruction.
        """
        _restore(self, resumed.state)
        if resumed.passes_differ:
            self.solver.forget_misfits()
        if not self.solver.config.stop_early:
            self.end = ''
        passes = self.solver.passes
        if resumed.changes:
            self.reasons.append(f'resumed after iteration {passes} with {resumed.changes}')
        logger.info('Resumed after iteration %d', passes)

    def start_at(self, initial_object: Array) -> None:
        """Start from the object of a network; record its residual."""
        self.solver.set_object(initial_object)
        self._record('network', self.solver.residual())

    def execute(self, names: list[StageName], monitor: Monitor) -> None:
        """Run the stages; record the residual of each pass, and as the last one that of the result.

        Passes that were done before the reconstruction was resumed are left out, and with
        `stop_early` those that would gain nothing: fewer stages are planned.
        """
        number = self.solver.passes
        rest = _without_passes(names, number)
        rest = _without_passes(rest) if self.end else rest
        while rest:
            name, rest, number = rest[0], rest[1:], number + 1
            if name == 'solver':
                self._record(name, self.solver.one_pass())
                rest = self._without_idle_passes(rest, names.count(name))
                if monitor.wants_state(last=name not in rest):
                    monitor.on_state(self.saved_state())
            else:
                self._apply_stage(cast('Stage', self.stage))
            total = number + len(rest)
            monitor.on_progress(
                Progress(name, number, total, self.residuals[-1], None, self.seconds())
            )
            wanted = self.solver.problem.partition.on_first(monitor.wants_preview)
            if rest and wanted:
                monitor.on_preview(self.result())
        # A pass measures the object before its updates; this is the residual of the last object.
        if names and names[-1] == 'solver':
            self.residuals[-1] = self.solver.finish()

    def _without_idle_passes(self, rest: list[StageName], planned: int) -> list[StageName]:
        """Return the stages that are left, without passes that would gain nothing.

        Args:
            rest: the stages after the pass just done.
            planned: passes in all.
        """
        stop, solver = self.early_stop, self.solver
        if not solver.config.stop_early or not stop.is_due(solver, self.residuals[-1]):
            return rest
        left = _without_passes(rest)
        if len(left) < len(rest):
            self.end = stop.reason(solver.passes, planned)
        return left

    def _apply_stage(self, stage: Stage) -> None:
        """Change the object by as much of the network's update as held-out photons support."""
        solver = self.solver
        before = self.residuals[-1] = solver.finish()
        partition, reached = solver.problem.partition, solver.canvas_object
        # The network looks far around each pixel, so that it gets the whole canvas.
        wholes = [partition.whole(one) for one in (reached, *solver.present_direction())]
        update = stage(*wholes) if partition.is_first else None
        if partition.on_first(lambda: update is wholes[0]):
            self.reasons.append('the network was not used: it gains nothing at this dose')
            return
        gate = partition.on_first(lambda: measure_gate(self.gate_ops, solver, stage))
        self.reasons.append(gate.remark)
        if gate.factor == 0:
            return
        ops, factor = solver.problem.ops, np.array(gate.factor, np.float32)
        updated = partition.part(update)
        self._change_object(reached + ops.scale(updated - reached, ops.array(factor)), before)
        # With its constraints; all processes take part.
        change = partition.whole(solver.canvas_object - reached)
        if self.names[-1] == 'network' and partition.is_first:
            self.network_change = ops.numpy(change)

    def _change_object(self, changed: Array, before: float) -> None:
        """Take another object; revert it if the residual rises by more than noise.

        Removing the noise that physics fitted raises the misfit by about that of one parameter for
        each real number fitted, two a covered pixel; a larger rise is an error of the network.
        """
        solver, problem, state = self.solver, self.solver.problem, self.solver.state
        solver.set_object(solver.constrained(changed))
        after = solver.residual()
        dose = problem.partition.whole(problem.dose(solver.probe))
        covered = problem.partition.on_first(lambda: _covered_pixels(problem.ops.numpy(dose)))
        allowed = (
            problem.noise.misfit_per_parameter * 2 * covered / max(problem.total_counts, 1e-30)
        )
        if after <= before + allowed:
            self._record('network', after)
            return
        solver.state = state
        self.reasons[-1] = (
            f'the network was not used: it would raise the residual from {before:.5f} to '
            f'{after:.5f}, more than noise explains ({allowed:.5f})'
        )
        logger.warning('%s', self.reasons[-1])

    def _remarks(self) -> Iterator[str]:
        """Return what was found and decided, a sentence each."""
        yield from left_out_decisions(self.solver.problem.scan)
        yield from filter(None, [self.end])
        yield from self.reasons
        yield from self.solver.remarks()

    def _record(self, name: StageName, residual: float) -> None:
        """Append the residual of a stage."""
        self.names.append(name)
        self.residuals.append(residual)

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.started

    def probe_factor(self) -> float:
        """Return what the probe is multiplied by, and the object divided by, in the result.

        Frames determine only the product of both, and a probe that is refined starts with their
        photons, not with those of the probe that was given. It gets these again, or the power that
        a setting asks for, so that the object is near 1 where the sample is empty.
        """
        solver = self.solver
        wanted = solver.config.probe_power if solver.refines_probe else 0.0
        power = probe_power(solver.problem.ops.numpy(solver.probe))
        return math.sqrt((wanted or probe_power(self.given_probe)) / power) if power > 0 else 1.0

    def _images(
        self,
    ) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32], tuple[int, int]]:
        """Return object, dose and origin of the whole canvas, in other processes of their part."""
        problem = self.solver.problem
        partition, ops = problem.partition, problem.ops
        parts = (self.solver.canvas_object, problem.dose(self.solver.probe))
        whole = [partition.whole(one) for one in parts]
        images, canvas = (
            (whole, partition.whole_canvas) if partition.is_first else (parts, problem.canvas)
        )
        canvas_object, dose = (ops.numpy(image) for image in images)
        return canvas_object, dose.astype(np.float32), canvas.origin_px

    def result(self) -> Reconstruction:
        """Return the present state; in other processes than the first one that of their part."""
        ops, problem = self.solver.problem.ops, self.solver.problem
        canvas_object, dose, origin_px = self._images()
        coverage = dose / max(float(dose.max()), 1e-30)
        probe = ops.numpy(self.solver.probe)
        at_start = problem.scan.probe
        scale, model = self.probe_factor(), self.model
        change = self.network_change
        return Reconstruction(
            object_canvas=_covered((canvas_object / scale).astype(np.complex64), coverage),
            origin_px=origin_px,
            probe=(probe * scale).astype(np.complex64),
            positions_px=problem.positions_px,
            coverage=coverage,
            residual=np.asarray(self.residuals, np.float64),
            stages=tuple(self.names),
            backend=self.backend,
            seconds=self.seconds(),
            pixel_size_m=problem.scan.metadata.pixel_size_m,
            model_name='' if model is None else weights_fingerprint(model),
            losses=() if model is None else _training_losses(model),
            residual_name=problem.noise.residual_name,
            scan_index=problem.scan.metadata.scan_index,
            remarks=tuple(self._remarks()),
            probe_refined=self.solver.refines_probe and not np.array_equal(probe, at_start),
            estimates=found_estimates(self.solver, scale),
            network_change=None if change is None else _covered(change / scale, coverage),
            settings=settings_lines(self.inference),
            version=__version__,
        )


def _covered_pixels(dose: npt.NDArray[np.float32]) -> int:
    """Return how many pixels the probe illuminates."""
    return int(np.count_nonzero(dose > LEAST_COVERAGE * dose.max()))


def _covered(
    canvas_object: npt.NDArray[np.complex64], coverage: npt.NDArray[np.float32]
) -> npt.NDArray[np.complex64]:
    """Return the object, NaN where no probe illuminates it."""
    if not np.isfinite(canvas_object).all():
        raise ReconstructionError(
            'the reconstructed object is not finite; check the scan with `ptychopinn check`, '
            'or lower object_step and probe_step'
        )
    return np.where(coverage > LEAST_COVERAGE, canvas_object, np.nan).astype(np.complex64)


def _training_losses(model: TrainedModel) -> tuple[float, ...]:
    """Return the model's training losses."""
    losses = model.losses[:, 0] if model.losses.size else np.zeros(0)
    return tuple(float(loss) for loss in losses if np.isfinite(loss))
