"""Ordered subsets with safeguarded Nesterov momentum on object and probe.

Each update uses one subset of the frames and follows its preconditioned gradient image with
momentum (Nesterov, Soviet Math. Dokl. 27, 372, 1983; ordered subsets: Hudson and Larkin, IEEE
Trans. Med. Imaging 13, 601, 1994, doi:10.1109/42.363108). Where a subset's own misfit rose since
it was last used, the momentum is dropped (adaptive restart: O'Donoghue and Candes, Found. Comput.
Math. 15, 715, 2015, doi:10.1007/s10208-013-9150-3). Where a whole pass no longer lowers the misfit,
the updates from different subsets cancel each other: subsets are joined in pairs, down to one,
which averages their noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.constraints import ObjectConstraint, ProbeConstraint
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.regularizers import Regularizer
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.solver.estimators.background import background_remarks
from ptychopinn_plugin.solver.estimators.estimator import Estimator
from ptychopinn_plugin.solver.estimators.object_prior import ObjectPrior
from ptychopinn_plugin.solver.momentum import RISE_TOLERANCE
from ptychopinn_plugin.solver.solver_state import SolverState
from ptychopinn_plugin.solver.steps import Steps
from ptychopinn_plugin.solver.unknowns import State

# Share of the first misfit below which the last state is taken without comparing it with others.
SAFE_SHARE = 0.5

_NOT_FINITE = (
    'the reconstruction is not finite from its first pass on; look at the scan with '
    '`ptychopinn check`'
)


@dataclass(eq=False)
class AcceleratedSolver(SolverState):
    """Solves one scan, a pass over all frames at a time.

    Attributes:
        regularizers: of the object, added to the misfit.
        constraints: of the probe, applied after each of its updates in this order.
        object_constraints: applied after each update of the object and at the end, in this order.
        estimators: what is estimated beside object and probe, after each pass in this order.
        prior: of the object, applied after its updates; None without.
        passes_before_probe: passes in which a probe that is refined is held at first.
        passes_before_background: passes in which a background that is estimated stays at first.
        passes_before: passes of the reconstructions that this one continues.
    """

    regularizers: tuple[Regularizer, ...] = ()
    constraints: tuple[ProbeConstraint, ...] = ()
    object_constraints: tuple[ObjectConstraint, ...] = ()
    estimators: tuple[Estimator, ...] = ()
    prior: ObjectPrior | None = None
    passes_before_probe: int = 0
    passes_before_background: int = 0
    passes_before: int = 0
    _steps: Steps = field(init=False)

    def __post_init__(self) -> None:
        """Start at an empty object and the scan's probe."""
        super().__post_init__()
        self._steps = Steps(
            self.problem,
            self.config,
            self.regularizers,
            self.constraints,
            self.object_constraints,
            self.prior,
        )

    def continue_at(self, changed: Array) -> None:
        """Start at the object (H, W) of an earlier reconstruction, before the first pass.

        Its misfit is what the first pass is compared with, and its spectrum the first prior.
        """
        self.set_object(changed)
        self._momentum.skip_start()
        self._kept.expect(self._misfit_of(self.state))
        if self.prior is not None:
            dose = self.problem.dose(self.probe)
            self.prior.continue_at(self.problem.ops, self.problem.partition, changed, dose)

    def one_pass(self) -> float:
        """Do one update from each subset.

        Returns:
            The residual, misfit over photons; the misfit of each subset is that before its update.

        Raises:
            ReconstructionError: the numbers are not finite and no earlier pass was.
        """
        with_probe = self.refines_probe and self.passes >= self.passes_before_probe
        entry, ops, shape = self.state, self.problem.ops, self.problem.canvas.shape
        self._pass_sums = (ops.zeros(shape, 'complex64'), ops.zeros(shape, 'float32'))
        misfits = [
            self._update(index, with_probe=with_probe) for index in range(len(self.problem.subsets))
        ]
        if self.passes == 0:
            # Only the first subset was compared before any update: it stands for the others.
            self._kept.first = (misfits[0] * len(misfits), entry)
        misfit = self._misfit = sum(misfits)
        self.passes += 1
        self._check_pass(misfit, entry)
        self.problem.frame_values.share_ratios(self.problem.partition)
        if self.prior is not None:
            partition, dose = self.problem.partition, self._pass_sums[1]
            self.prior.estimate(self.problem.ops, partition, self.canvas_object, dose)
        for estimator in self.estimators:
            estimator.after_pass(self)
        return misfit / max(self.problem.total_counts, 1e-30)

    def finish(self) -> float:
        """Take the last state, or an earlier one where the last updates raised the misfit.

        A pass measures the states before its updates only, so the last one is measured here, for
        a fifth to a third of a pass's work; where it does not fit clearly better than those
        before, the best and the first state are measured too.

        Returns:
            The residual of that state, over all frames.

        Raises:
            ReconstructionError: no state is finite.
        """
        self._take_best()
        for estimator in self.estimators:
            estimator.at_end(self)
        if self.object_constraints:
            # A gauge may have moved the object out of its limits by a little.
            self.set_object(self.constrained(self.canvas_object))
            self._misfit = self._misfit_of(self.state)
        return self._misfit / max(self.problem.total_counts, 1e-30)

    def constrained(self, canvas_object: Array) -> Array:
        """Return an object within its constraints, complex64 (H, W)."""
        return self._steps.constrained(canvas_object)

    def _take_best(self) -> None:
        """Take the last state; the one of least misfit or the first where these fit better."""
        misfit = self._misfit_of(self.state)
        allowed, (best, first) = 1 + self._rise_by_priors, (self._kept.best, self._kept.first)
        if not misfit <= min(allowed * best[0], SAFE_SHARE * first[0]):
            earlier = [state.without_momentum() for _, state in (best, first)]
            found = min(((self._misfit_of(one), one) for one in earlier), key=lambda one: one[0])
            if not misfit <= allowed * found[0]:
                misfit, self.state = found
        if not math.isfinite(misfit):
            raise ReconstructionError(_NOT_FINITE)
        self._misfit = misfit

    @property
    def _rise_by_priors(self) -> float:
        """The relative rise of the misfit that is no sign of a worse object.

        A prior and regularisers go on to take noise off the object after the misfit, which is
        least where some noise is fitted, has passed its minimum.
        """
        return 0.0 if self.prior is None and not self.regularizers else RISE_TOLERANCE

    def present_direction(self) -> tuple[Array, Array]:
        """Return the preconditioned gradient image of all frames at the present state and its dose.

        Both (H, W). Unlike `direction`, which is free, it costs a sweep and belongs to one object.
        """
        now = self.state.now
        sweeps = [
            # As in a pass: a sweep of another kind would be compiled anew.
            self.problem.sweep(now, index, with_probe=self.refines_probe)
            for index in range(len(self.problem.subsets))
        ]
        dose = sum((sweep.dose for sweep in sweeps[1:]), sweeps[0].dose)
        total = sum((sweep.direction for sweep in sweeps[1:]), sweeps[0].direction)
        self.problem.frame_values.share_ratios(self.problem.partition)
        return self._preconditioned(total, dose), dose

    def remarks(self) -> tuple[str, ...]:
        """Return what was found beside the object, a sentence each."""
        found = [remark for estimator in self.estimators for remark in estimator.remarks()]
        background = self.state.now.background
        if background is not None:
            values = self.problem.ops.numpy(background)
            found += background_remarks(values, self.problem.scan)
        return tuple(found)

    def saved_state(self) -> SavedState:
        """Return what the next passes depend on, with the estimators and the prior."""
        parts = {name: one.saved_state() for name, one in self._named_parts()}
        return SavedState.joined({'': super().saved_state()} | parts)

    def restore(self, state: SavedState) -> None:
        """Go on from the state of a solver of the same scan.

        Estimators that the other solver did not have begin anew.

        Raises:
            CheckpointError: the unknowns have other shapes.
            KeyError: it is no state of a solver.
        """
        super().restore(state)
        for name, one in self._named_parts():
            if part := state.part(name):
                one.restore(part)

    def _named_parts(self) -> Iterator[tuple[str, Stateful]]:
        """Return what has a state of its own beside the problem, by the names of the classes."""
        parts = (*self.estimators, *(() if self.prior is None else (self.prior,)))
        return ((type(one).__name__, one) for one in parts if one.saved_fields)

    def _update(self, index: int, *, with_probe: bool) -> float:
        """Do one update from one subset; return the subset's misfit before it."""
        momentum = self._momentum.next()
        ahead = self._steps.extrapolated(self.state, momentum, with_probe=with_probe)
        sweep = self.problem.sweep(ahead, index, with_probe=with_probe)
        if not self._momentum.accepts(index, sweep.misfit) and momentum > 0:
            ahead = self.state.now
            sweep = self.problem.sweep(ahead, index, with_probe=with_probe)
        self._momentum.remember(index, sweep.misfit)
        assert self._pass_sums is not None
        updates = len(self.problem.subsets)
        steps = 0 if self.prior is None else self.prior.steps_after(index, updates)
        reached, self._pass_sums = self._steps.step(
            ahead,
            sweep,
            self._step_scale,
            self._pass_sums,
            steps,
            with_background=self.passes >= self.passes_before_background,
        )
        self.state = State(reached, self.state.now)
        return sweep.misfit

    def _check_pass(self, misfit: float, entry: State) -> None:
        """Revert a pass that diverged; join subsets where a pass gained too little."""
        if self._kept.diverged(misfit):
            best, best_state = self._kept.best
            if not math.isfinite(best):
                raise ReconstructionError(_NOT_FINITE)
            self._step_scale *= 0.5
            self.state = best_state.without_momentum()
            self._momentum.restart()
            self._reset_misfits()
            return
        # Measured before the updates of this pass, the misfit belongs to the state at its entry.
        stalled = self._kept.add(misfit, entry)
        if stalled and len(self.problem.subsets) > 1:
            self.problem.merge_subsets()
            self._momentum.restore_greatest()
            self._kept.forget_merge()
            self._reset_misfits()
