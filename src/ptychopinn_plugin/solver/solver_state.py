"""The unknowns that a solver has reached, and the changes of them between its passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import CheckpointError
from ptychopinn_plugin.physics.noise_models import NoiseModel
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.solver.kept_states import KeptStates
from ptychopinn_plugin.solver.momentum import Momentum
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.unknowns import (
    State,
    Unknowns,
    placed_image,
    placed_unknowns,
    saved_unknowns,
)
from ptychopinn_plugin.solver.updates import gradient_image


@dataclass(eq=False)
class SolverState(Stateful):
    """Base of the solver: where it is, and what estimators may change there.

    Attributes:
        problem: the prepared scan.
        config: steps, momentum, and with `update_probe` on that the probe is refined; what `auto`
            stands for is decided before, see `automatic.refines_probe`.
        state: the unknowns; starts at an empty object and the scan's probe.
        passes: passes done.
    """

    saved_fields: ClassVar = (
        'problem',
        'passes',
        '_momentum',
        '_kept',
        '_step_scale',
        '_misfit',
    )

    problem: Problem
    config: InferenceConfig
    state: State = field(init=False)
    passes: int = field(default=0, init=False)
    _momentum: Momentum = field(init=False)
    _kept: KeptStates = field(init=False)
    _step_scale: float = field(default=1.0, init=False)
    _misfit: float = field(default=math.inf, init=False)
    _pass_sums: tuple[Array, Array] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Start at an empty object and the scan's probe."""
        ops = self.problem.ops
        empty = ops.array(np.ones(self.problem.canvas.shape, np.complex64))
        now = Unknowns(empty, ops.array(self.problem.scan.probe))
        self.state = State(now, now)
        self._momentum = Momentum(self.config.momentum)
        self._kept = KeptStates((math.inf, self.state))
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
    def last_misfit(self) -> float:
        """The misfit of the last pass, each subset before its update."""
        return self._misfit

    @property
    def refines_probe(self) -> bool:
        """Whether the probe is refined."""
        return self.config.update_probe == 'on'

    @property
    def resets(self) -> int:
        """How often momentum was dropped."""
        return self._momentum.resets

    def residual(self) -> float:
        """Return the residual, misfit over photons, of the present state."""
        return self._misfit_of(self.state) / max(self.problem.total_counts, 1e-30)

    def direction(self) -> tuple[Array, Array]:
        """Return the preconditioned gradient image of the last pass and its dose, both (H, W)."""
        if self._pass_sums is None:
            raise ValueError('there is no direction before the first pass; call one_pass()')
        return self._preconditioned(*self._pass_sums), self._pass_sums[1]

    def _preconditioned(self, direction: Array, dose: Array) -> Array:
        """Return the gradient image of sums over frames, complex64 (H, W)."""
        largest = self.problem.partition.largest(dose)
        return self.problem.ops.compiled(gradient_image)(direction, dose, largest)

    def set_object(self, changed: Array) -> None:
        """Continue with another object (H, W); its last change, the momentum, stays as it was."""
        now, earlier = self.state.now, self.state.earlier
        difference = changed - now.canvas_object
        self.state = State(
            now._replace(canvas_object=changed),
            earlier._replace(canvas_object=earlier.canvas_object + difference),
        )
        self._reset_misfits()

    def transform(self, function: Callable[[Unknowns], Unknowns]) -> None:
        """Apply a linear map to the unknowns and to those before, so that momentum follows it."""
        self.state = self.state.mapped(function)

    def change_unknowns(self, function: Callable[[Unknowns], Unknowns]) -> None:
        """Continue with other unknowns, more or fewer; forget the best state, which lacks them."""
        self.transform(function)
        self._kept.forget_best(self.state)
        self._kept.map_first(function)

    def move_object(self, function: Callable[[Array], Array]) -> None:
        """Apply a linear map to the object, now, before and where the solver may return to."""

        def moved(unknowns: Unknowns) -> Unknowns:
            return unknowns._replace(canvas_object=function(unknowns.canvas_object))

        self.transform(moved)
        self._kept.map_best(moved)

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
        self._kept.map_best(carried)
        self._kept.map_first(carried)
        if self._pass_sums is not None:
            direction, dose = (before.to(after, image) for image in self._pass_sums)
            self._pass_sums = direction, dose

    def use_noise(self, noise: NoiseModel) -> None:
        """Go on with another noise model: misfits so far are of another kind.

        That of the present state is measured by the next pass.
        """
        self.problem.noise = noise
        self._kept.restart(self.state)
        self._reset_misfits()

    def measure(self) -> None:
        """Measure the present state, for a fifth to a third of a pass's work."""
        self._misfit = self._misfit_of(self.state)
        self._kept.first = self._kept.best = (self._misfit, self.state)

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

    def forget_misfits(self) -> None:
        """Go on with other steps, constraints or regularisers: earlier misfits do not compare."""
        self._momentum.restore_greatest()
        self._step_scale = 1.0
        self._kept.forget_best(self.state)
        self._kept.forget_merge()
        self._reset_misfits()

    def saved_state(self) -> SavedState:
        """Return what the next passes depend on, all arrays in the memory of the host.

        Only to be taken between passes. Several processes call this together, and the first one
        has the images on the whole canvas.
        """
        ops, partition = self.problem.ops, self.problem.partition
        unknowns = {'now': self.state.now, 'earlier': self.state.earlier}
        parts = {name: saved_unknowns(ops, partition, one) for name, one in unknowns.items()}
        parts |= self._kept.saved_parts(ops, partition) | {'': super().saved_state()}
        if self._pass_sums is not None:
            wholes = [partition.whole(one) for one in self._pass_sums]
            direction, dose = (None if one is None else np.array(ops.numpy(one)) for one in wholes)
            images = SavedState.of(direction=direction, dose=dose)
            parts['pass'] = images.with_images(['direction', 'dose'])
        return SavedState.joined(parts)

    def restore(self, state: SavedState) -> None:
        """Go on from the state of a solver of the same scan.

        Raises:
            CheckpointError: the unknowns have other shapes.
            KeyError: it is no state of a solver.
        """
        self._refuse_other(state)
        # First of all: it says which part of the canvas this process has.
        super().restore(state)
        ops, partition = self.problem.ops, self.problem.partition
        now, earlier = (
            placed_unknowns(ops, partition, state.part(name)) for name in ('now', 'earlier')
        )
        self.state = State(now, earlier)
        self._kept.restore_parts(ops, partition, state)
        self._pass_sums = None
        if sums := state.part('pass'):
            direction = placed_image(ops, partition, sums, 'direction')
            self._pass_sums = direction, placed_image(ops, partition, sums, 'dose', 'float32')

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

    def _misfit_of(self, state: State) -> float:
        """Return the misfit of a state over all frames, infinite where it is not finite."""
        misfit = sum(
            self.problem.misfit(index, state.now) for index in range(len(self.problem.subsets))
        )
        return misfit if math.isfinite(misfit) else math.inf

    def _reset_misfits(self) -> None:
        """Accept every subset's next misfit without comparison."""
        self._momentum.forget_misfits(len(self.problem.subsets))
