"""One episode of a training under way, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.networks.unrolled.dose_gate import FACTORS
from ptychopinn_plugin.networks.unrolled.episodes import Episode
from ptychopinn_plugin.networks.unrolled.features import Situation, mean_log10_dose
from ptychopinn_plugin.networks.unrolled.validation import HeldOut
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver import AcceleratedSolver, Problem

# Excess deviance, relative to the photons, below which an object is as good as its reference.
LEAST_EXCESS = 1e-5


class EpisodeRun:
    """An episode: physics passes, and updates judged on photons that those did not see.

    The loss of an update is the share of the excess deviance, over that of the reference made from
    all photons, that it leaves: 1 for an update that changes nothing, at any dose.

    Attributes:
        judge: the held-out frames.
        floor: the reference's deviance from them.
    """

    def __init__(self, ops: Ops, episode: Episode, check: Callable[[], None]) -> None:
        self.ops = ops
        problem = Problem.of(ops, episode.crop, 4, fixed_probe=True, check=check)
        self.solver = AcceleratedSolver(problem, InferenceConfig())
        self.judge = HeldOut.of(ops, episode.judge)
        self.floor = ops.number(self.judge.deviance(ops.array(episode.reference)))

    def solve(self, passes: int) -> None:
        """Do physics passes."""
        for _ in range(passes):
            self.solver.one_pass()

    def situation(self) -> Situation:
        """Return what a stage is shown now."""
        canvas_object = self.solver.canvas_object
        excess = self.ops.number(self.judge.deviance(canvas_object)) - self.floor
        least = LEAST_EXCESS * self.judge.total_counts
        return Situation(canvas_object, *self.solver.direction(), max(excess, least))

    def change(self, changed: Array) -> None:
        """Go on with a changed object."""
        self.solver.change_object(lambda _: changed)

    def ratios(self, update: Callable[[Situation, float], Array]) -> list[float]:
        """Return what an update times each of FACTORS leaves; the last one is applied.

        Args:
            update: returns the changed object.
        """
        before = self.situation()
        changed = [update(before, factor) for factor in FACTORS]
        self.change(changed[-1])
        left = [self.ops.number(self.judge.deviance(each)) - self.floor for each in changed]
        return [each / before.excess for each in left]

    def log10_dose(self) -> float:
        """Return log10 of the crop's mean dose, photons an object pixel."""
        return mean_log10_dose(self.ops, self.solver.direction()[1])
