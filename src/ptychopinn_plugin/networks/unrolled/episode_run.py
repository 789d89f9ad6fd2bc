"""Reconstruction of one training episode, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.networks.unrolled.dose_gate import FACTORS
from ptychopinn_plugin.networks.unrolled.episodes import Episode
from ptychopinn_plugin.networks.unrolled.features import StageInput, mean_log10_dose
from ptychopinn_plugin.networks.unrolled.held_out_frames import HeldOutFrames
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.prepare import prepare_solver

# Difference of deviances, relative to the photons, below which an object is as good as its
# reference: the loss divides by the difference, and would amplify rounding errors there.
LEAST_EXCESS = 1e-5


@dataclass(frozen=True, eq=False)
class PreparedEpisode:
    """The objects of an episode that the network is applied to, and the photons held out.

    The loss of an update is the share of the excess deviance, over that of the reference made from
    all photons, that remains after it: 1 for an update that changes nothing, at any dose. Where an
    object fits the held-out frames better than the reference does, as where some frames of the scan
    are dark or the probe drifts, the loss is negative, -1 for an update that changes nothing.

    Attributes:
        states: the objects after the passes of each application of the network.
        deviances: of each object from the held-out frames.
        held_out_scan: the held-out frames.
        reference: complex64 (H, W), the scan's reconstruction from all photons.
        reference_deviance: the reference's deviance from the held-out frames.
        log10_dose: log10 of the crop's mean dose, photons an object pixel.
    """

    states: tuple[StageInput, ...]
    deviances: tuple[float, ...]
    held_out_scan: ScanData
    reference: Array
    reference_deviance: float
    log10_dose: float

    def held_out(self, ops: Ops) -> HeldOutFrames:
        """Bring the held-out frames to the device."""
        return HeldOutFrames.from_scan(ops, self.held_out_scan)

    def deviance_ratios(self, ops: Ops, update: Callable[[StageInput], Array]) -> list[list[float]]:
        """Return the remaining share of the excess, of each state for an update times FACTORS.

        Args:
            ops: the framework.
            update: returns the object after the full update.
        """
        frames = self.held_out(ops)
        ratios = []
        for before, deviance in zip(self.states, self.deviances, strict=True):
            change = update(before) - before.canvas_object
            found = [deviance]
            for factor in FACTORS[1:]:
                part = ops.scale(change, ops.array(np.array(factor, np.float32)))
                found.append(ops.number(frames.deviance(before.canvas_object + part)))
            ratios.append([(each - self.reference_deviance) / before.excess for each in found])
        return ratios


def prepare_episode(ops: Ops, episode: Episode, check: Callable[[], None]) -> PreparedEpisode:
    """Reconstruct an episode's crop; measure its objects on the held-out frames.

    Args:
        ops: the framework.
        episode: the frames, used and held out.
        check: raises Cancelled to stop.
    """
    # As in a reconstruction, with the probe that the reference has refined.
    solver = prepare_solver(ops, episode.crop, InferenceConfig(update_probe='off'), check)
    held_out = HeldOutFrames.from_scan(ops, episode.held_out_scan)
    reference = ops.number(held_out.deviance(ops.array(episode.reference)))
    least = LEAST_EXCESS * held_out.total_counts
    states, deviances = [], []
    for passes in episode.passes:
        for _ in range(passes):
            solver.one_pass()
        deviance = ops.number(held_out.deviance(solver.canvas_object))
        # By the size of the difference: a floor alone would give an object that is better than its
        # reference the weight of hundreds of others.
        excess = max(abs(deviance - reference), least)
        states.append(StageInput(solver.canvas_object, *solver.present_direction(), excess))
        deviances.append(deviance)
    return PreparedEpisode(
        tuple(states),
        tuple(deviances),
        episode.held_out_scan,
        episode.reference,
        reference,
        mean_log10_dose(ops, solver.direction()[1]),
    )
