"""Validation of a learned stage on held-out episodes: its loss and its gate by dose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate


class ValidationCase(NamedTuple):
    """One validation episode.

    Attributes:
        log10_dose: log10 of the mean dose, photons an object pixel.
        ratios: share of the excess deviance that remains after the update times each of FACTORS,
            the mean over the episode's stages.
    """

    log10_dose: float
    ratios: list[float]


def summarize_cases(cases: Sequence[ValidationCase]) -> tuple[float, DoseGate]:
    """Return the validation loss of an epoch, that of the full update, and the measured gate."""
    doses, ratios = zip(*cases, strict=True)
    loss = float(np.mean([each[-1] for each in ratios]))
    return loss, DoseGate.from_validation(np.asarray(doses), np.asarray(ratios))
