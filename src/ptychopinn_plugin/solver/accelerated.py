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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import CheckpointError, ReconstructionError
from ptychopinn_plugin.physics.constraints import ObjectConstraint, ProbeConstraint
from ptychopinn_plugin.physics.noise_models import NoiseModel
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.regularizers import Regularizer
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.solver.estimators.background import background_remarks, updated_background
from ptychopinn_plugin.solver.estimators.drift import VARIATION_SHARE, free_variation
from ptychopinn_plugin.solver.estimators.estimator import Estimator
from ptychopinn_plugin.solver.estimators.object_prior import ObjectPrior
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.subset_sums import Sweep
from ptychopinn_plugin.solver.unknowns import (
    State,
    Unknowns,
    extrapolate,
    placed_image,
    placed_unknowns,
    saved_unknowns,
)
from ptychopinn_plugin.solver.updates import (
    gradient_image,
    update_object,
    update_probe,
)

# Relative rise of a subset's misfit above rounding and the noise between its updates.
RISE_TOLERANCE = 1e-2
# Relative gain of a pass below which subsets are joined.
STALL_GAIN = 0.01
# Factors of the momentum at a reset and at each update without one.
RESET_SHRINK, REGROWTH = 0.8, 1.05
# Rise over the best pass at which the solver reverts to it and halves the steps.
DIVERGENCE = 1.5
# Share of the first misfit below which the last state is taken without comparing it with others.
SAFE_SHARE = 0.5

_NOT_FINITE = (
    'the reconstruction is not finite from its first pass on; look at the scan with '
    '`ptychopinn check`'
)


@dataclass(eq=False)
class AcceleratedSolver(Stateful):
    """Solves one scan, a pass over all frames at a time.

    Attributes:
        problem: the prepared scan.
        config: steps, momentum, and with `update_probe` on that the probe is refined; what `auto`
            stands for is decided before, see `automatic.refines_probe`.
        regularizers: of the object, added to the misfit.
        constraints: of the probe, applied after each of its updates in this order.
        object_constraints: applied after each update of the object and at the end, in this order.
        estimators: what is estimated beside object and probe, after each pass in this order.
        prior: of the object, applied after each of its updates; None without.
        passes_before_probe: passes in which a probe that is refined is held at first.
        state: the unknowns; starts at an empty object and the scan's probe.
        passes: passes done.
        resets: how often momentum was dropped.
    """

    saved_fields: ClassVar = (
        'problem',
        'passes',
        'resets',
        '_momentum',
        '_updates_since_reset',
        '_step_scale',
        '_last_misfit',
        '_best_since_merge',
        '_misfit',
    )

    problem: Problem
    config: InferenceConfig
    regularizers: tuple[Regularizer, ...] = ()
    constraints: tuple[ProbeConstraint, ...] = ()
    object_constraints: tuple[ObjectConstraint, ...] = ()
    estimators: tuple[Estimator, ...] = ()
    prior: ObjectPrior | None = None
    passes_before_probe: int = 0
    state: State = field(init=False)
    passes: int = 0
    resets: int = 0
    _momentum: float = field(init=False)
    _updates_since_reset: int = 0
    _step_scale: float = 1.0
    _last_misfit: list[float] = field(init=False)
    _best: tuple[float, State] = field(init=False)
    _first: tuple[float, State] = field(init=False)
    _best_since_merge: float = math.inf
    _misfit: float = math.inf
    _pass_sums: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        """Start at an empty object and the scan's probe."""
        ops = self.problem.ops
        empty = ops.array(np.ones(self.problem.canvas.shape, np.complex64))
        probe = ops.array(self.problem.scan.probe)
        now = Unknowns(empty, probe)
        self.state = State(now, now)
        self._momentum = self.config.momentum
        self._best = self._first = (math.inf, self.state)
        self._reset_misfits()

    @property
    def canvas_object(self) -> Array:
        """The object, complex64 (H, W)."""
        return self.state.now.canvas_object

    @property
    def probe(self) -> Array:
        """The probe, complex64 (modes, N, N)."""
        return self.state.now.probe

    @property
    def refines_probe(self) -> bool:
        """Whether the probe is refined."""
        return self.config.update_probe == 'on'

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
            self._first = (misfits[0] * len(misfits), entry)
        misfit = self._misfit = sum(misfits)
        self.passes += 1
        self._check_pass(misfit, entry)
        self.problem.share_ratios()
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

    def _take_best(self) -> None:
        """Take the last state; the one of least misfit or the first where these fit better."""
        misfit = self._misfit_of(self.state)
        allowed = 1 + self._rise_by_priors
        if not misfit <= min(allowed * self._best[0], SAFE_SHARE * self._first[0]):
            earlier = [state.without_momentum() for _, state in (self._best, self._first)]
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

    def set_object(self, changed: Array) -> None:
        """Continue with another object (H, W); its last change, the momentum, stays as it was."""
        now, earlier = self.state.now, self.state.earlier
        difference = changed - now.canvas_object
        self.state = State(
            now._replace(canvas_object=changed),
            earlier._replace(canvas_object=earlier.canvas_object + difference),
        )
        self._reset_misfits()

    def saved_state(self) -> SavedState:
        """Return what the next passes depend on, all arrays in the memory of the host.

        Only to be taken between passes. Several processes call this together, and the first one
        has the images on the whole canvas.
        """
        ops, partition = self.problem.ops, self.problem.partition
        (best, best_state), (first, first_state) = self._best, self._first
        # Where the solver reverts to them, it takes them without their last change.
        unknowns = {
            'now': self.state.now,
            'earlier': self.state.earlier,
            'best': best_state.now,
            'first': first_state.now,
        }
        parts = {name: saved_unknowns(ops, partition, one) for name, one in unknowns.items()}
        parts |= {'misfits': SavedState.of(best=best, first=first), '': super().saved_state()}
        if self._pass_sums is not None:
            wholes = [partition.whole(one) for one in self._pass_sums]
            direction, dose = (None if one is None else np.array(ops.numpy(one)) for one in wholes)
            images = SavedState.of(direction=direction, dose=dose)
            parts['pass'] = images.with_images(['direction', 'dose'])
        parts |= {name: one.saved_state() for name, one in self._named_parts()}
        return SavedState.joined(parts)

    def restore(self, state: SavedState) -> None:
        """Go on from the state of a solver of the same scan.

        Estimators that the other solver did not have begin anew.

        Raises:
            CheckpointError: the unknowns have other shapes.
            KeyError: it is no state of a solver.
        """
        self._refuse_other(state)
        # First of all: it says which part of the canvas this process has.
        super().restore(state)
        ops, partition = self.problem.ops, self.problem.partition
        now, earlier, best, first = (
            placed_unknowns(ops, partition, state.part(name))
            for name in ('now', 'earlier', 'best', 'first')
        )
        self.state = State(now, earlier)
        misfits = state.part('misfits')
        self._best = (misfits.number('best'), State(best, best))
        self._first = (misfits.number('first'), State(first, first))
        self._pass_sums = None
        if sums := state.part('pass'):
            direction = placed_image(ops, partition, sums, 'direction')
            self._pass_sums = direction, placed_image(ops, partition, sums, 'dose', 'float32')
        for name, one in self._named_parts():
            if part := state.part(name):
                one.restore(part)

    def _refuse_other(self, state: SavedState) -> None:
        """Refuse a state whose unknowns have other shapes.

        Raises:
            CheckpointError: they have.
            KeyError: it is no state of a solver.
        """
        partition, now = self.problem.partition, state.part('now')
        shape, size = partition.whole_canvas.shape, self.problem.scan.frame_size
        found = now.images['canvas_object'].shape if partition.is_first else shape
        if found != shape or now.arrays['probe'].shape[-1] != size:
            raise CheckpointError(
                f'the object of the saved state has shape {found}, that of the scan {shape}'
            )

    def forget_misfits(self) -> None:
        """Go on with other steps, constraints or regularisers: earlier misfits do not compare."""
        self._momentum, self._step_scale = self.config.momentum, 1.0
        self._best, self._best_since_merge = (math.inf, self.state), math.inf
        self._reset_misfits()

    def _named_parts(self) -> Iterator[tuple[str, Stateful]]:
        """Return what has a state of its own beside the problem, by the names of the classes."""
        parts = (*self.estimators, *(() if self.prior is None else (self.prior,)))
        return ((type(one).__name__, one) for one in parts if one.saved_fields)

    def transform(self, function: Callable[[Unknowns], Unknowns]) -> None:
        """Apply a linear map to the unknowns and to those before, so that momentum follows it."""
        self.state = self.state.mapped(function)

    def change_unknowns(self, function: Callable[[Unknowns], Unknowns]) -> None:
        """Continue with other unknowns, more or fewer; forget the best state, which lacks them."""
        self.transform(function)
        self._best = (math.inf, self.state)
        misfit, first = self._first
        self._first = (misfit, first.mapped(function))

    def move_object(self, function: Callable[[Array], Array]) -> None:
        """Apply a linear map to the object, now, before and where the solver may return to."""

        def moved(unknowns: Unknowns) -> Unknowns:
            return unknowns._replace(canvas_object=function(unknowns.canvas_object))

        self.transform(moved)
        misfit, best = self._best
        self._best = (misfit, best.mapped(moved))

    def move_frames(self, positions_px: npt.NDArray[np.float64]) -> None:
        """Let the frames lie at other positions, see `Problem.move_frames`."""
        before = self.problem.partition
        self.problem.move_frames(positions_px)
        after = self.problem.partition
        if after is before:
            return

        def carried(unknowns: Unknowns) -> Unknowns:
            image = before.to(after, unknowns.canvas_object)
            return unknowns._replace(canvas_object=image)

        # Frames left the part of the canvas that a process had: all have other parts now.
        self.transform(carried)
        (best_misfit, best), (first_misfit, first) = self._best, self._first
        self._best = (best_misfit, best.mapped(carried))
        self._first = (first_misfit, first.mapped(carried))
        if self._pass_sums is not None:
            direction, dose = (before.to(after, image) for image in self._pass_sums)
            self._pass_sums = direction, dose

    def use_noise(self, noise: NoiseModel) -> None:
        """Go on with another noise model: misfits so far are of another kind."""
        self.problem.noise = noise
        self._misfit = self._misfit_of(self.state)
        self._best = self._first = (self._misfit, self.state)
        self._best_since_merge = math.inf
        self._reset_misfits()

    def transform_if_free(self, function: Callable[[Unknowns], Unknowns]) -> bool:
        """Apply a linear map to the result if the frames leave it open; return whether they do.

        They do if the misfit rises by less than a standard deviation of its own noise.
        """
        changed = self.state.mapped(function)
        misfit = self._misfit_of(changed)
        pixels = self.problem.good_pixels
        free = misfit <= self._misfit * (1 + math.sqrt(2 / max(pixels, 1)))
        if free:
            self.state, self._misfit = changed, misfit
        return free

    def direction(self) -> tuple[Array, Array]:
        """Return the preconditioned gradient image of the last pass and its dose, both (H, W)."""
        if self._pass_sums is None:
            raise ValueError('there is no direction before the first pass; call one_pass()')
        return self._preconditioned(*self._pass_sums), self._pass_sums[1]

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
        self.problem.share_ratios()
        return self._preconditioned(total, dose), dose

    def _preconditioned(self, direction: Array, dose: Array) -> Array:
        """Return the gradient image of sums over frames, complex64 (H, W)."""
        largest = self.problem.partition.largest(dose)
        return self.problem.ops.compiled(gradient_image)(direction, dose, largest)

    def remarks(self) -> tuple[str, ...]:
        """Return what was found beside the object, a sentence each."""
        found = [remark for estimator in self.estimators for remark in estimator.remarks()]
        background = self.state.now.background
        if background is not None:
            values = self.problem.ops.numpy(background)
            found += background_remarks(values, self.problem.scan)
        return tuple(found)

    @property
    def last_misfit(self) -> float:
        """The misfit of the last pass, each subset before its update."""
        return self._misfit

    def residual(self) -> float:
        """Return the residual, misfit over photons, of the present state."""
        return self._misfit_of(self.state) / max(self.problem.total_counts, 1e-30)

    def _update(self, index: int, *, with_probe: bool) -> float:
        """Do one update from one subset; return the subset's misfit before it."""
        self._updates_since_reset += 1
        momentum = min(self._momentum, 1 - 1 / self._updates_since_reset)
        ahead = self._extrapolated(momentum, with_probe=with_probe)
        sweep = self.problem.sweep(ahead, index, with_probe=with_probe)
        if not sweep.misfit <= self._last_misfit[index] * (1 + RISE_TOLERANCE):
            self._drop_momentum()
            if momentum > 0:
                ahead = self.state.now
                sweep = self.problem.sweep(ahead, index, with_probe=with_probe)
        else:
            self._momentum = min(self.config.momentum, self._momentum * REGROWTH)
        self._last_misfit[index] = sweep.misfit
        self._step(ahead, sweep)
        return sweep.misfit

    def _extrapolated(self, momentum: float, *, with_probe: bool) -> Unknowns:
        """Return the unknowns extrapolated along their last changes."""
        ops, now, earlier = self.problem.ops, self.state.now, self.state.earlier
        step_on, factor = ops.compiled(extrapolate), self._scalar(momentum)
        ahead = now._replace(
            canvas_object=step_on(now.canvas_object, earlier.canvas_object, factor)
        )
        if with_probe:
            ahead = ahead._replace(probe=step_on(now.probe, earlier.probe, factor))
            if now.variation is not None:
                variation = step_on(now.variation, earlier.variation, factor)
                ahead = ahead._replace(variation=variation)
        if now.background is not None:
            change = now.background - earlier.background
            background = ops.positive(now.background + factor * change)
            ahead = ahead._replace(background=background)
        return ahead

    def _step(self, ahead: Unknowns, sweep: Sweep) -> None:
        """Step from the extrapolated point along the gradient images; add them to the pass."""
        ops, config, partition = self.problem.ops, self.config, self.problem.partition
        size = self._scalar(config.object_step * self._step_scale)
        canvas_object, self._pass_sums = ops.compiled(update_object)(
            ahead.canvas_object,
            sweep.direction,
            sweep.dose,
            size,
            self._pass_sums,
            self.regularizers if partition.frames is None else (),
            sweep.largest_dose,
        )
        if partition.frames is not None and self.regularizers:
            # Their neighbourhoods reach beyond a part of the canvas.
            change = partition.on_whole(self._regularized, ahead.canvas_object)
            canvas_object = canvas_object - ops.scale(change, size)
        if self.prior is not None:
            canvas_object = self.prior.apply(ops, partition, canvas_object, config.object_step)
        canvas_object = self.constrained(canvas_object)
        reached = ahead._replace(canvas_object=canvas_object)
        if sweep.probe_direction is not None:
            reached = self._step_probe(reached, sweep)
        if sweep.background_score is not None and config.update_background:
            score = ops.numpy(sweep.background_score)
            background = updated_background(ops.numpy(ahead.background), score, self.problem.scan)
            reached = reached._replace(background=ops.array(background))
        self.state = State(reached, self.state.now)

    def _regularized(self, canvas_object: Array) -> Array:
        """Return the sum of the gradients of the regularisers, complex64 (H, W)."""
        gradients = [one.gradient(self.problem.ops, canvas_object) for one in self.regularizers]
        return sum(gradients[1:], gradients[0])

    def _step_probe(self, ahead: Unknowns, sweep: Sweep) -> Unknowns:
        """Step along the gradient images of the probe and of its variation."""
        ops = self.problem.ops
        size = self._scalar(self.config.probe_step * self._step_scale)
        step = ops.compiled(update_probe)
        power = ops.max(sweep.object_power)
        probe = step(ahead.probe, sweep.probe_direction, power, size)
        for constraint in self.constraints:
            probe = constraint.project(ops, probe)
        if sweep.variation_direction is None:
            return ahead._replace(probe=probe)
        direction = ops.compiled(free_variation)(sweep.variation_direction, ahead.probe)
        half = self._scalar(VARIATION_SHARE * self.config.probe_step * self._step_scale)
        variation = step(ahead.variation, direction, power, half)
        for constraint in self.constraints:
            if constraint.linear:
                variation = constraint.project(ops, variation)
        return ahead._replace(probe=probe, variation=variation)

    def constrained(self, canvas_object: Array) -> Array:
        """Return an object within its constraints, complex64 (H, W)."""
        for constraint in self.object_constraints:
            canvas_object = constraint.project(self.problem.ops, canvas_object)
        return canvas_object

    def _scalar(self, value: float) -> Array:
        """Bring a number to the device as float32: each Python number would be compiled anew."""
        return self.problem.ops.array(np.array(value, np.float32))

    def _drop_momentum(self) -> None:
        """Restart the momentum, a little weaker."""
        self.resets += 1
        self._updates_since_reset = 0
        self._momentum *= RESET_SHRINK

    def _misfit_of(self, state: State) -> float:
        """Return the misfit of a state over all frames, infinite where it is not finite."""
        misfit = sum(
            self.problem.misfit(index, state.now) for index in range(len(self.problem.subsets))
        )
        return misfit if math.isfinite(misfit) else math.inf

    def _check_pass(self, misfit: float, entry: State) -> None:
        """Revert a pass that diverged; join subsets where a pass gained too little."""
        best, best_state = self._best
        if not (math.isfinite(misfit) and misfit <= DIVERGENCE * best):
            if not math.isfinite(best):
                raise ReconstructionError(_NOT_FINITE)
            self._step_scale *= 0.5
            self.state = best_state.without_momentum()
            self._drop_momentum()
            self._reset_misfits()
            return
        # Measured before the updates of this pass, the misfit belongs to the state at its entry.
        if misfit < best:
            self._best = (misfit, entry)
        stalled = misfit > self._best_since_merge * (1 - STALL_GAIN)
        self._best_since_merge = min(misfit, self._best_since_merge)
        if stalled and len(self.problem.subsets) > 1:
            self.problem.merge_subsets()
            self._momentum = self.config.momentum
            self._best_since_merge = math.inf
            self._reset_misfits()

    def _reset_misfits(self) -> None:
        """Accept every subset's next misfit without comparison."""
        self._last_misfit = [math.inf] * len(self.problem.subsets)
