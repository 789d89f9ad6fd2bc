"""The first state and the best one so far, by their misfits."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.solver.parts.partition import Partition
from ptychopinn_plugin.solver.unknowns import State, Unknowns, placed_unknowns, saved_unknowns

# Relative gain of a pass below which it has stalled.
STALL_GAIN = 0.01
# Rise over the best pass from which on a pass has diverged.
DIVERGENCE = 1.5
# Misfit of a state before it is measured: finite, for the solver may return to that state.
UNMEASURED = sys.float_info.max


@dataclass(eq=False)
class KeptStates(Stateful):
    """What the misfits of the passes were, and the states that the solver may return to.

    Attributes:
        first: misfit and state before the first pass.
        best: those of the least misfit at the beginning of a pass.
    """

    saved_fields: ClassVar = ('_best_since_merge',)

    first: tuple[float, State]
    best: tuple[float, State] = field(init=False)
    _best_since_merge: float = math.inf

    def __post_init__(self) -> None:
        """Take the first state as the best one."""
        self.best = self.first

    def diverged(self, misfit: float) -> bool:
        """Return whether the misfit of a pass is not finite, or far above the best one."""
        return not (math.isfinite(misfit) and misfit <= DIVERGENCE * self.best[0])

    def add(self, misfit: float, entry: State) -> bool:
        """Add a pass; return whether it has stalled.

        Args:
            misfit: measured before the updates of the pass.
            entry: the state before them, which the misfit belongs to.
        """
        if self.first[0] == UNMEASURED:
            self.first = (misfit, entry)
        if misfit < self.best[0]:
            self.best = (misfit, entry)
        stalled = misfit > self._best_since_merge * (1 - STALL_GAIN)
        self._best_since_merge = min(misfit, self._best_since_merge)
        return stalled

    def restart(self, state: State) -> None:
        """Begin anew with a state, whose misfit the next pass measures."""
        self.first = self.best = (UNMEASURED, state)
        self._best_since_merge = math.inf

    def forget_best(self, state: State) -> None:
        """Take a state for the best one until a pass has measured another."""
        self.best = (math.inf, state)

    def expect(self, misfit: float) -> None:
        """Compare the next pass, for whether it stalls, with the misfit of the state before it."""
        self._best_since_merge = misfit

    def forget_merge(self) -> None:
        """Compare the next pass with none before, for whether it stalls."""
        self._best_since_merge = math.inf

    def map_first(self, function: Callable[[Unknowns], Unknowns]) -> None:
        """Apply a function to the unknowns of the first state."""
        misfit, first = self.first
        self.first = (misfit, first.mapped(function))

    def map_best(self, function: Callable[[Unknowns], Unknowns]) -> None:
        """Apply a function to the unknowns of the best state."""
        misfit, best = self.best
        self.best = (misfit, best.mapped(function))

    def saved_parts(self, ops: Ops, partition: Partition) -> dict[str, SavedState]:
        """Return the states by name, without their last change, which a return to them drops."""
        (best, best_state), (first, first_state) = self.best, self.first
        return {
            'best': saved_unknowns(ops, partition, best_state.now),
            'first': saved_unknowns(ops, partition, first_state.now),
            'misfits': SavedState.of(best=best, first=first),
        }

    def restore_parts(self, ops: Ops, partition: Partition, state: SavedState) -> None:
        """Go on from `saved_parts`.

        Raises:
            KeyError: they are not in the state.
        """
        best, first = (placed_unknowns(ops, partition, state.part(n)) for n in ('best', 'first'))
        misfits = state.part('misfits')
        self.best = (misfits.number('best'), State(best, best))
        self.first = (misfits.number('first'), State(first, first))
