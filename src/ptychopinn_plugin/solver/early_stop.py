"""The end of a reconstruction whose passes no longer gain."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from ptychopinn_plugin.saved_state import Stateful
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver

# Passes whose best residual is compared with the best one before.
WINDOW = 3
# Passes to come gain about as much as the last ones, a few times less and less: with a quarter of
# the noise for three passes, all together stay within it.
NOISE_PART = 0.25
# By this pass everything that is estimated beside object and probe has been tried.
FEWEST_PASSES = 12


def misfit_spread(pixels: int, photons: float) -> float:
    """Return the standard deviation of the misfit that noise makes, relative to the misfit.

    The misfit of a right model is a sum of squares with one degree of freedom a pixel, chi-squared:
    its mean is proportional to their number n and its variance to 2 n, so that the share is
    sqrt(2 / n). Where pixels are more than photons, the photons are what varies.

    Args:
        pixels: good detector pixels of all frames.
        photons: of all frames.
    """
    return math.sqrt(2 / max(min(pixels, photons), 1))


@dataclass(eq=False)
class EarlyStop(Stateful):
    """Looks at the residuals of passes that use all frames at once.

    While frames are split into subsets, the solver joins them after a pass that gains nothing:
    only afterwards there is nothing left to gain.

    Attributes:
        noise: relative spread of the misfit by noise, see `misfit_spread`.
        residuals: of the passes since the last subsets were joined.
    """

    saved_fields: ClassVar = ('residuals',)

    noise: float
    residuals: list[float] = field(default_factory=list)

    @classmethod
    def for_solver(cls, solver: AcceleratedSolver) -> EarlyStop:
        """Return the rule for a scan."""
        problem = solver.problem
        return cls(misfit_spread(problem.good_pixels, problem.total_counts))

    def is_due(self, solver: AcceleratedSolver, residual: float) -> bool:
        """Return whether the last passes gained nothing.

        Args:
            solver: after a pass.
            residual: of that pass.
        """
        if len(solver.problem.subsets) > 1:
            return False
        self.residuals.append(residual)
        if _passes(solver) < FEWEST_PASSES or len(self.residuals) <= WINDOW:
            return False
        # Momentum that overshoots raises the residual for a while and lowers it afterwards.
        at_its_best = residual <= min(self.residuals) * (1 + self.noise)
        return at_its_best and self.gain < NOISE_PART * self.noise

    @property
    def gain(self) -> float:
        """The share of the residual that the last passes took away, 0 where it rose."""
        before, now = min(self.residuals[:-WINDOW]), min(self.residuals[-WINDOW:])
        return max(1 - now / before, 0.0) if before > 0 else 0.0

    def reason(self, done: int, planned: int) -> str:
        """Say why the reconstruction ended, in lower case and without a full stop.

        Args:
            done: passes done.
            planned: passes that were allowed.
        """
        return (
            f'stopped after {done} of {planned} iterations: the last {WINDOW} lowered the residual '
            f'by {self.gain:.3%}, less than noise explains ({self.noise:.3%})'
        )


def _passes(solver: AcceleratedSolver) -> int:
    """Return passes done; of earlier reconstructions those that tried the same."""
    earlier = solver.problem.scan.metadata.history
    tries_more = solver.config.auto and not earlier.automatic
    return solver.passes + (0 if tries_more else solver.passes_before)
