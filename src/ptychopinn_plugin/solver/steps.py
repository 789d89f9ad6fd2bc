"""One update of the unknowns: extrapolated along their last change, then a step of gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.physics.constraints import ObjectConstraint, ProbeConstraint
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.regularizers import Regularizer
from ptychopinn_plugin.solver.estimators.background import updated_background
from ptychopinn_plugin.solver.estimators.drift import VARIATION_SHARE, free_variation
from ptychopinn_plugin.solver.estimators.object_prior import ObjectPrior
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.subset_sums import Sweep
from ptychopinn_plugin.solver.unknowns import State, Unknowns, extrapolate
from ptychopinn_plugin.solver.updates import update_object, update_probe


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of a solver, see `AcceleratedSolver` for the attributes."""

    problem: Problem
    config: InferenceConfig
    regularizers: tuple[Regularizer, ...]
    constraints: tuple[ProbeConstraint, ...]
    object_constraints: tuple[ObjectConstraint, ...]
    prior: ObjectPrior | None

    def extrapolated(self, state: State, momentum: float, *, with_probe: bool) -> Unknowns:
        """Return the unknowns extrapolated along their last changes."""
        ops, now, earlier = self.problem.ops, state.now, state.earlier
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

    def step(
        self,
        ahead: Unknowns,
        sweep: Sweep,
        scale: float,
        pass_sums: tuple[Array, Array],
        prior_steps: int,
        *,
        with_background: bool,
    ) -> tuple[Unknowns, tuple[Array, Array]]:
        """Step from the extrapolated point along the gradient images.

        Args:
            ahead: from `extrapolated`.
            sweep: the sums there.
            scale: of all steps.
            pass_sums: direction and dose of the pass so far; may be changed in place.
            prior_steps: steps of the prior, from `ObjectPrior.steps_after`.
            with_background: whether a background is updated too, where the settings ask for one.

        Returns:
            The unknowns, and the sums of the pass with those of this sweep.
        """
        ops, config = self.problem.ops, self.config
        canvas_object, pass_sums = self._step_object(ahead.canvas_object, sweep, scale, pass_sums)
        if self.prior is not None and prior_steps:
            step, partition = prior_steps * config.object_step, self.problem.partition
            canvas_object = self.prior.apply(ops, partition, canvas_object, step)
        canvas_object = self.constrained(canvas_object)
        reached = ahead._replace(canvas_object=canvas_object)
        if sweep.probe_direction is not None:
            reached = self._step_probe(reached, sweep, scale)
        has_score = sweep.background_score is not None
        if with_background and has_score and config.update_background:
            score = ops.numpy(sweep.background_score)
            background = updated_background(ops.numpy(ahead.background), score, self.problem.scan)
            reached = reached._replace(background=ops.array(background))
        return reached, pass_sums

    def constrained(self, canvas_object: Array) -> Array:
        """Return an object within its constraints, complex64 (H, W)."""
        for constraint in self.object_constraints:
            canvas_object = constraint.project(self.problem.ops, canvas_object)
        return canvas_object

    def _step_object(
        self, before: Array, sweep: Sweep, scale: float, pass_sums: tuple[Array, Array]
    ) -> tuple[Array, tuple[Array, Array]]:
        """Step along the gradient image of the object and of its regularisers."""
        ops, config, partition = self.problem.ops, self.config, self.problem.partition
        size = self._scalar(config.object_step * scale)
        canvas_object, pass_sums = ops.compiled(update_object)(
            before,
            sweep.direction,
            sweep.dose,
            size,
            pass_sums,
            self.regularizers if partition.frames is None else (),
            sweep.largest_dose,
        )
        if partition.frames is not None and self.regularizers:
            # Their neighbourhoods reach beyond a part of the canvas.
            change = partition.on_whole(self._regularized, before)
            canvas_object = canvas_object - ops.scale(change, size)
        return canvas_object, pass_sums

    def _regularized(self, canvas_object: Array) -> Array:
        """Return the sum of the gradients of the regularisers, complex64 (H, W)."""
        gradients = [one.gradient(self.problem.ops, canvas_object) for one in self.regularizers]
        return sum(gradients[1:], gradients[0])

    def _step_probe(self, ahead: Unknowns, sweep: Sweep, scale: float) -> Unknowns:
        """Step along the gradient images of the probe and of its variation."""
        ops = self.problem.ops
        size = self._scalar(self.config.probe_step * scale)
        step = ops.compiled(update_probe)
        power = ops.max(sweep.object_power)
        probe = step(ahead.probe, sweep.probe_direction, power, size)
        for constraint in self.constraints:
            probe = constraint.project(ops, probe)
        if sweep.variation_direction is None:
            return ahead._replace(probe=probe)
        direction = ops.compiled(free_variation)(sweep.variation_direction, ahead.probe)
        half = self._scalar(VARIATION_SHARE * self.config.probe_step * scale)
        variation = step(ahead.variation, direction, power, half)
        for constraint in self.constraints:
            if constraint.linear:
                variation = constraint.project(ops, variation)
        return ahead._replace(probe=probe, variation=variation)

    def _scalar(self, value: float) -> Array:
        """Bring a number to the device as float32: each Python number would be compiled anew."""
        return self.problem.ops.array(np.array(value, np.float32))
