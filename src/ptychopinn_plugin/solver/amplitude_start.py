"""First passes with the noise model of amplitudes, whose steps are bounded."""

from __future__ import annotations

from dataclasses import dataclass

from ptychopinn_plugin.physics.noise_models import NoiseModel
from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver

# A Poisson step divides by the expected counts. A probe that still has to be found expects nearly
# none at pixels that hold many: two passes bring the expectation near enough. Few frames need more
# (of 64, two to six passes left an error of 0.6, twelve 0.02); with many, a drift of the probe is
# found later then.
PASSES, PASSES_OF_FEW_FRAMES = 2, 12


@dataclass(eq=False)
class AmplitudeStart(Estimator):
    """Goes on to the noise model that was asked for after the first passes.

    Attributes:
        noise: the noise model to end with; the solver's problem starts with that of amplitudes.
        passes: how many start.
    """

    noise: NoiseModel
    passes: int = PASSES

    def after_pass(self, solver: Solver) -> None:
        """Change to the noise model once, after the first passes."""
        if solver.passes == self.passes and solver.problem.noise is not self.noise:
            solver.use_noise(self.noise)

    def at_end(self, solver: Solver) -> None:
        """Change to it where there were fewer passes, so that the residual is of its kind."""
        if solver.problem.noise is not self.noise:
            solver.use_noise(self.noise)
            solver.measure()
