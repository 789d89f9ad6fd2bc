"""The stages of a reconstruction: passes of the solver, and the network."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin import __version__
from ptychopinn_plugin.config import Backend, InferenceConfig
from ptychopinn_plugin.config.used_settings import settings_lines
from ptychopinn_plugin.errors import CheckpointError, PtychoPINNError
from ptychopinn_plugin.io.model_file import TrainedModel, weights_fingerprint
from ptychopinn_plugin.io.reading_errors import describe
from ptychopinn_plugin.monitor import Monitor, Progress, Resumption
from ptychopinn_plugin.networks.network_update import EARLY_PASS, apply_checked, apply_unchecked
from ptychopinn_plugin.networks.run_result import (
    covered,
    pass_history,
    probe_factor,
    training_losses,
    whole_images,
)
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.scan.frame_outliers import left_out_decisions
from ptychopinn_plugin.solver import AcceleratedSolver
from ptychopinn_plugin.solver.early_stop import EarlyStop
from ptychopinn_plugin.solver.reflection_start import ReflectionStart, apply_start
from ptychopinn_plugin.solver.start import Start
from ptychopinn_plugin.solver.starting_estimates import found_estimates

logger = logging.getLogger(__name__)

StageName: TypeAlias = Literal['solver', 'network']


def without_passes(names: list[StageName], most: int | None = None) -> list[StageName]:
    """Return stages without the passes that they begin with, or as many of them at most."""
    passes = len(list(itertools.takewhile(lambda name: name == 'solver', names)))
    return names[passes if most is None else min(most, passes) :]


def restore_state(restored: Stateful, state: SavedState) -> None:
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


@dataclass(eq=False)
class StageRun(Stateful):
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
    early: Stage | None = None
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
        restore_state(self, resumed.state)
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

    def start_from(self, found: ReflectionStart) -> None:
        """Start from the object of reflections, where held-out photons support it."""
        self.reasons.append(found.remark)
        if self.start.reflected:
            apply_start(self.solver, found)

    def execute(self, names: list[StageName], monitor: Monitor) -> None:
        """Run the stages; record the residual of each pass, and as the last one that of the result.

        Passes that were done before the reconstruction was resumed are left out, and with
        `stop_early` those that would gain nothing: fewer stages are planned.
        """
        number = self.solver.passes
        rest = without_passes(names, number)
        rest = without_passes(rest) if self.end else rest
        while rest:
            name, rest, number = rest[0], rest[1:], number + 1
            if name == 'solver':
                self._record(name, self.solver.one_pass())
                if 'solver' in rest:
                    self._apply_early_stage()
                rest = self._without_idle_passes(rest, names.count(name))
                self._offer_state(monitor, last=name not in rest)
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

    def _offer_state(self, monitor: Monitor, *, last: bool) -> None:
        """Give the state to the monitor, where it wants it: in the first process, all of it.

        Args:
            monitor: of this process.
            last: whether the last pass is done.
        """
        partition = self.solver.problem.partition
        if not partition.on_first(lambda: monitor.wants_state(last=last)):
            return
        state = self.saved_state()
        if partition.is_first:
            monitor.on_state(state)

    def _without_idle_passes(self, rest: list[StageName], planned: int) -> list[StageName]:
        """Return the stages that are left, without passes that would gain nothing.

        Args:
            rest: the stages after the pass just done.
            planned: passes in all.
        """
        stop, solver = self.early_stop, self.solver
        if not solver.config.stop_early or not stop.is_due(solver, self.residuals[-1]):
            return rest
        left = without_passes(rest)
        if len(left) < len(rest):
            self.end = stop.reason(solver.passes, planned)
        return left

    def _apply_early_stage(self) -> None:
        """Change the unfinished object by the network's update; the next passes check it."""
        # The object of reflections is no early one: the network would take details from it.
        if self.early is None or self.start.reflected or self.solver.passes != EARLY_PASS:
            return
        self.reasons.append(apply_unchecked(self.solver, self.early))

    def _apply_stage(self, stage: Stage) -> None:
        """Change the object by as much of the network's update as held-out photons support."""
        before = self.residuals[-1] = self.solver.finish()
        reflections = self.inference.reflections if self.start.reflected else 0
        changed = apply_checked(self.solver, stage, self.gate_ops, reflections, before)
        self.reasons.append(changed.remark)
        if changed.residual is not None:
            self._record('network', changed.residual)
            self.network_change = changed.change

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

    def result(self) -> Reconstruction:
        """Return the present state; in other processes than the first one that of their part."""
        ops, problem = self.solver.problem.ops, self.solver.problem
        canvas_object, dose, origin_px = whole_images(self.solver)
        coverage = dose / max(float(dose.max()), 1e-30)
        probe = ops.numpy(self.solver.probe)
        at_start = problem.scan.probe
        scale, model = probe_factor(self.solver, self.given_probe), self.model
        change = self.network_change
        return Reconstruction(
            object_canvas=covered((canvas_object / scale).astype(np.complex64), coverage),
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
            losses=() if model is None else training_losses(model),
            residual_name=problem.noise.residual_name,
            scan_index=problem.scan.metadata.scan_index,
            remarks=tuple(self._remarks()),
            probe_refined=self.solver.refines_probe and not np.array_equal(probe, at_start),
            estimates=found_estimates(self.solver, scale),
            network_change=None if change is None else covered(change / scale, coverage),
            settings=settings_lines(self.inference),
            version=__version__,
            history=pass_history(self.solver, self.inference),
        )
