"""Momentum of the updates, restarted where a subset's misfit rises."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from ptychopinn_plugin.saved_state import Stateful

# Relative rise of a subset's misfit above rounding and the noise between its updates.
RISE_TOLERANCE = 1e-2
# Factors of the momentum at a restart and at each update without one.
RESET_SHRINK, REGROWTH = 0.8, 1.05
# Updates that an earlier reconstruction counts for.
UPDATES_BEFORE = 100


@dataclass(eq=False)
class Momentum(Stateful):
    """The share of the last change that an update is extrapolated by.

    Attributes:
        greatest: that the momentum grows to.
        resets: how often it was restarted.
    """

    saved_fields: ClassVar = ('resets', '_factor', '_updates_since_reset', '_last_misfits')

    greatest: float
    resets: int = 0
    _factor: float = field(init=False)
    _updates_since_reset: int = 0
    _last_misfits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start at the greatest momentum."""
        self._factor = self.greatest

    def next(self) -> float:
        """Return the momentum of the next update: none at first after a restart, then more."""
        self._updates_since_reset += 1
        return min(self._factor, 1 - 1 / self._updates_since_reset)

    def skip_start(self) -> None:
        """Go on from a state near a minimum, where the momentum need not grow from none."""
        self._updates_since_reset = UPDATES_BEFORE

    def accepts(self, subset: int, misfit: float) -> bool:
        """Return whether a subset's misfit is no higher than when it was last used.

        The momentum grows a little where it is; where it is not, it is restarted, a little weaker.
        """
        if misfit <= self._last_misfits[subset] * (1 + RISE_TOLERANCE):
            self._factor = min(self.greatest, self._factor * REGROWTH)
            return True
        self.restart()
        return False

    def remember(self, subset: int, misfit: float) -> None:
        """Compare a subset's next misfit with this one."""
        self._last_misfits[subset] = misfit

    def restart(self) -> None:
        """Restart the momentum, a little weaker."""
        self.resets += 1
        self._updates_since_reset = 0
        self._factor *= RESET_SHRINK

    def restore_greatest(self) -> None:
        """Let the next updates use the greatest momentum."""
        self._factor = self.greatest

    def forget_misfits(self, subsets: int) -> None:
        """Accept the next misfit of each of some subsets without comparison."""
        self._last_misfits = [math.inf] * subsets
