"""Division of groups into batches: compact ones, where patches of a batch are merged, or any."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.networks.cnn.frame_groups import Index


def equal_batches(groups: Index, size: int) -> list[Index]:
    """Cut groups in their order into the fewest batches of up to `size`, equal to within one."""
    return np.array_split(groups, math.ceil(len(groups) / size)) if len(groups) else []


def compact_batches(
    groups: Index,
    centres_px: npt.NDArray[np.float64],
    size: int,
    random: np.random.RandomState,
) -> list[Index]:
    """Divide groups into the fewest batches of up to `size` that lie close together.

    The plane is rotated by a random angle and halved along its longer side, and the halves again,
    so that batches have other borders in every epoch.

    Args:
        groups: int64 (n, C).
        centres_px: float64 (n, 2), centre of each group.
        size: of a batch, 1 or more.
        random: of the angle and of ties.

    Returns:
        int64 (up to size, C) each.
    """
    if not len(groups):
        return []
    angle = 2 * math.pi * random.random_sample()
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    rotated = centres_px @ rotation
    pending = [(random.permutation(len(groups)), math.ceil(len(groups) / size))]
    batches: list[Index] = []
    while pending:
        rows, count = pending.pop()
        if count == 1:
            batches.append(groups[rows])
            continue
        longer = int(np.argmax(np.ptp(rotated[rows], axis=0)))
        rows = rows[np.argsort(rotated[rows, longer], kind='stable')]
        half = count // 2
        cut = round(len(rows) * half / count)
        pending += [(rows[:cut], half), (rows[cut:], count - half)]
    return batches
