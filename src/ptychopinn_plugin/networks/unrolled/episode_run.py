"""Execution of one training episode, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.networks.unrolled.dose_gate import FACTORS
from ptychopinn_plugin.networks.unrolled.episodes import Episode
from ptychopinn_plugin.networks.unrolled.features import StageInput, mean_log10_dose
from ptychopinn_plugin.networks.unrolled.held_out_frames import HeldOutFrames
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver.prepare import prepare_solver

# Difference of deviances, relative to the photons, below which an object is as good as its
# reference: the loss divides by the difference, and would amplify rounding errors there.
LEAST_EXCESS = 1e-5


class EpisodeRun:
    """Physics passes of an episode, and the held-out deviance of the objects between them.

    The loss of an update is the share of the excess deviance, over that of the reference made from
    all photons, that remains after it: 1 for an update that changes nothing, at any dose. Where an
    object fits the held-out frames better than the reference does, as where some frames of the scan
    are dark or the probe drifts, the loss is negative, -1 for an update that changes nothing.

    Attributes:
        held_out: the held-out frames.
        reference_deviance: the reference's deviance from them.
    """

    def __init__(self, ops: Ops, episode: Episode, check: Callable[[], None]) -> None:
        self.ops = ops
        # As in a reconstruction, with the probe that the reference has refined.
        self.solver = prepare_solver(ops, episode.crop, InferenceConfig(update_probe='off'), check)
        self.held_out = HeldOutFrames.from_scan(ops, episode.held_out_scan)
        reference = ops.array(episode.reference)
        self.reference_deviance = ops.number(self.held_out.deviance(reference))

    def run_passes(self, passes: int) -> None:
        """Run physics passes."""
        for _ in range(passes):
            self.solver.one_pass()

    def stage_input(self) -> StageInput:
        """Return the present object as input of a stage."""
        canvas_object = self.solver.canvas_object
        deviance = self.ops.number(self.held_out.deviance(canvas_object))
        least = LEAST_EXCESS * self.held_out.total_counts
        # By the size of the difference: a floor alone would give an object that is better than its
        # reference the weight of hundreds of others.
        excess = max(abs(deviance - self.reference_deviance), least)
        return StageInput(canvas_object, *self.solver.present_direction(), excess)

    def deviance_ratios(self, update: Callable[[StageInput, float], Array]) -> list[float]:
        """Return the remaining share of the excess for an update times each of FACTORS.

        Args:
            update: returns the updated object.
        """
        before = self.stage_input()
        updated = [update(before, factor) for factor in FACTORS]
        return [
            (self.ops.number(self.held_out.deviance(each)) - self.reference_deviance)
            / before.excess
            for each in updated
        ]

    def log10_dose(self) -> float:
        """Return log10 of the crop's mean dose, photons an object pixel."""
        return mean_log10_dose(self.ops, self.solver.direction()[1])
