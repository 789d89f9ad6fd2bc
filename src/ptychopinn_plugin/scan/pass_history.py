"""How far the passes of earlier reconstructions have come, for one that continues them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PassHistory:
    """The physics passes that an object and a probe come from, and how the last ones were done.

    Attributes:
        iterations: passes in all, those of continued reconstructions included; 0 where none is
            known.
        subsets: ordered subsets that the last pass visited; 0 where it is not known.
        automatic: whether the settings were chosen from the data (`auto`).
        updates_probe: whether the passes refined the probe.
        moves_frames: whether they refined the positions.
        position_errors_px: standard deviation of the errors of the positions that they found, both
            axes together, object pixels.
        finds_background: whether they estimated a background.
    """

    iterations: int = 0
    subsets: int = 0
    automatic: bool = False
    updates_probe: bool = False
    moves_frames: bool = False
    position_errors_px: float = 0.0
    finds_background: bool = False
