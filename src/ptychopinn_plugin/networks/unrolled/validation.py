"""Validation of a learned stage on held-out episodes: its loss and its gate by dose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ptychopinn_plugin.io.model_file import TrainingExample
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate
from ptychopinn_plugin.networks.unrolled.episode_run import PreparedEpisode
from ptychopinn_plugin.networks.unrolled.features import StageInput
from ptychopinn_plugin.physics.ops import Array, Ops

# The validation episode that is shown: that of the second-lowest dose with all frames.
SHOWN = 2


class ValidationCase(NamedTuple):
    """One validation episode.

    Attributes:
        log10_dose: log10 of the mean dose, photons an object pixel.
        ratios: share of the excess deviance that remains after the update times each of FACTORS,
            the mean over the episode's stages.
        example: the object before and after the last update.
    """

    log10_dose: float
    ratios: list[float]
    example: TrainingExample


def validate_episode(
    ops: Ops, episode: PreparedEpisode, update: Callable[[StageInput], Array]
) -> ValidationCase:
    """Measure a network's updates of the objects of an episode.

    Args:
        ops: the framework.
        episode: of the validation.
        update: returns the object after the full update.
    """
    updated: list[Array] = []

    def kept(before: StageInput) -> Array:
        updated.append(update(before))
        return updated[-1]

    ratios = np.mean(episode.deviance_ratios(ops, kept), axis=0)
    last = episode.states[-1]
    example = TrainingExample(
        before=ops.numpy(last.canvas_object),
        after=ops.numpy(updated[-1]),
        reference=episode.reference,
        dose=ops.numpy(last.dose),
    )
    return ValidationCase(episode.log10_dose, [float(ratio) for ratio in ratios], example)


class ValidationSummary(NamedTuple):
    """Validation of one epoch.

    Attributes:
        loss: mean share of the excess deviance that the full update leaves.
        gate: by dose.
        example: an object before and after the update.
    """

    loss: float
    gate: DoseGate
    example: TrainingExample


def summarize_cases(cases: Sequence[ValidationCase]) -> ValidationSummary:
    """Return the validation loss of an epoch, the measured gate, and an example."""
    doses = np.asarray([case.log10_dose for case in cases])
    ratios = np.asarray([case.ratios for case in cases])
    loss = float(np.mean(ratios[:, -1]))
    gate = DoseGate.from_validation(doses, ratios)
    return ValidationSummary(loss, gate, cases[min(SHOWN, len(cases) - 1)].example)
