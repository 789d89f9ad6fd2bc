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
from dataclasses import dataclass, field

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.constraints import ProbeConstraint
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.regularizers import Regularizer
from ptychopinn_plugin.solver.problem import Problem, Sweep
from ptychopinn_plugin.solver.updates import (
    extrapolate,
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


@dataclass(frozen=True, eq=False)
class _State:
    """Object and probe, now and one update before."""

    canvas_object: Array
    probe: Array
    earlier_object: Array
    earlier_probe: Array

    def without_momentum(self) -> _State:
        """Return the same point with no last change."""
        return _State(self.canvas_object, self.probe, self.canvas_object, self.probe)


@dataclass(eq=False)
class AcceleratedSolver:
    """Solves one scan, a pass over all frames at a time.

    Attributes:
        problem: the prepared scan.
        config: steps, momentum and whether the probe is updated.
        regularizers: of the object, added to the misfit.
        constraints: of the probe, applied after each of its updates in this order.
        state: object and probe; starts at an empty object.
        passes: passes done.
        resets: how often momentum was dropped.
    """

    problem: Problem
    config: InferenceConfig
    regularizers: tuple[Regularizer, ...] = ()
    constraints: tuple[ProbeConstraint, ...] = ()
    state: _State = field(init=False)
    passes: int = 0
    resets: int = 0
    _momentum: float = field(init=False)
    _updates_since_reset: int = 0
    _step_scale: float = 1.0
    _last_misfit: list[float] = field(init=False)
    _best: tuple[float, _State] = field(init=False)
    _first: tuple[float, _State] = field(init=False)
    _best_since_merge: float = math.inf
    _pass_sums: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        """Start at an empty object and the scan's probe."""
        ops = self.problem.ops
        empty = ops.array(np.ones(self.problem.canvas.shape, np.complex64))
        probe = ops.array(self.problem.scan.probe)
        self.state = _State(empty, probe, empty, probe)
        self._momentum = self.config.momentum
        self._best = self._first = (math.inf, self.state)
        self._reset_misfits()

    @property
    def canvas_object(self) -> Array:
        """The object, complex64 (H, W)."""
        return self.state.canvas_object

    @property
    def probe(self) -> Array:
        """The probe, complex64 (modes, N, N)."""
        return self.state.probe

    def one_pass(self) -> float:
        """Do one update from each subset.

        Returns:
            The residual, misfit over photons; the misfit of each subset is that before its update.

        Raises:
            ReconstructionError: the numbers are not finite and no earlier pass was.
        """
        with_probe = self.config.update_probe and self.passes > 0
        entry, ops, shape = self.state, self.problem.ops, self.problem.canvas.shape
        self._pass_sums = (ops.zeros(shape, 'complex64'), ops.zeros(shape, 'float32'))
        misfits = [
            self._update(index, with_probe=with_probe) for index in range(len(self.problem.subsets))
        ]
        if self.passes == 0:
            # Only the first subset was compared before any update: it stands for the others.
            self._first = (misfits[0] * len(misfits), entry)
        misfit = sum(misfits)
        self.passes += 1
        self._check_pass(misfit, entry)
        return misfit / max(self.problem.total_counts, 1e-30)

    def finish(self) -> float:
        """Take the state of least misfit: an earlier one where the last updates raised it.

        A pass measures the states before its updates only, so the last one is measured here, for
        a fifth to a third of a pass's work; where it does not fit clearly better than those
        before, the best and the first state are measured too.

        Returns:
            The residual of that state, over all frames.

        Raises:
            ReconstructionError: no state is finite.
        """
        misfit = self._misfit_of(self.state)
        if not misfit <= min(self._best[0], SAFE_SHARE * self._first[0]):
            earlier = [state.without_momentum() for _, state in (self._best, self._first)]
            states = [(misfit, self.state), *((self._misfit_of(one), one) for one in earlier)]
            misfit, self.state = min(states, key=lambda one: one[0])
        if not math.isfinite(misfit):
            raise ReconstructionError(_NOT_FINITE)
        return misfit / max(self.problem.total_counts, 1e-30)

    def set_object(self, changed: Array) -> None:
        """Continue with another object (H, W); its last change, the momentum, stays as it was."""
        state = self.state
        earlier = state.earlier_object + (changed - state.canvas_object)
        self.state = _State(changed, state.probe, earlier, state.earlier_probe)
        self._reset_misfits()

    def direction(self) -> tuple[Array, Array]:
        """Return the preconditioned gradient image of the last pass and its dose, both (H, W)."""
        if self._pass_sums is None:
            raise ValueError('there is no direction before the first pass; call one_pass()')
        direction, dose = self._pass_sums
        return self.problem.ops.compiled(gradient_image)(direction, dose), dose

    def residual(self) -> float:
        """Return the residual, misfit over photons, of the present state."""
        return self._misfit_of(self.state) / max(self.problem.total_counts, 1e-30)

    def _update(self, index: int, *, with_probe: bool) -> float:
        """Do one update from one subset; return the subset's misfit before it."""
        self._updates_since_reset += 1
        momentum = min(self._momentum, 1 - 1 / self._updates_since_reset)
        ahead = self._extrapolated(momentum, with_probe=with_probe)
        sweep = self.problem.sweep(*ahead, index, with_probe=with_probe)
        if not sweep.misfit <= self._last_misfit[index] * (1 + RISE_TOLERANCE):
            self._drop_momentum()
            ahead = (self.state.canvas_object, self.state.probe)
            sweep = self.problem.sweep(*ahead, index, with_probe=with_probe)
        else:
            self._momentum = min(self.config.momentum, self._momentum * REGROWTH)
        self._last_misfit[index] = sweep.misfit
        self._step(ahead, sweep)
        return sweep.misfit

    def _extrapolated(self, momentum: float, *, with_probe: bool) -> tuple[Array, Array]:
        """Return object and probe extrapolated along their last changes."""
        ops, state = self.problem.ops, self.state
        step_on, factor = ops.compiled(extrapolate), self._scalar(momentum)
        canvas_object = step_on(state.canvas_object, state.earlier_object, factor)
        if not with_probe:
            return canvas_object, state.probe
        return canvas_object, step_on(state.probe, state.earlier_probe, factor)

    def _step(self, ahead: tuple[Array, Array], sweep: Sweep) -> None:
        """Step from the extrapolated point along the gradient images; add them to the pass."""
        ops, state = self.problem.ops, self.state
        canvas_object, probe = ahead
        size = self._scalar(self.config.object_step * self._step_scale)
        canvas_object, self._pass_sums = ops.compiled(update_object)(
            canvas_object, sweep.direction, sweep.dose, size, self._pass_sums, self.regularizers
        )
        if sweep.probe_direction is not None:
            size = self._scalar(self.config.probe_step * self._step_scale)
            probe = ops.compiled(update_probe)(
                probe, sweep.probe_direction, sweep.object_power, size
            )
            for constraint in self.constraints:
                probe = constraint.project(ops, probe)
        self.state = _State(canvas_object, probe, state.canvas_object, state.probe)

    def _scalar(self, value: float) -> Array:
        """Bring a number to the device as float32: each Python number would be compiled anew."""
        return self.problem.ops.array(np.array(value, np.float32))

    def _drop_momentum(self) -> None:
        """Restart the momentum, a little weaker."""
        self.resets += 1
        self._updates_since_reset = 0
        self._momentum *= RESET_SHRINK

    def _misfit_of(self, state: _State) -> float:
        """Return the misfit of a state over all frames, infinite where it is not finite."""
        misfit = sum(
            self.problem.misfit(index, state.canvas_object, state.probe)
            for index in range(len(self.problem.subsets))
        )
        return misfit if math.isfinite(misfit) else math.inf

    def _check_pass(self, misfit: float, entry: _State) -> None:
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
