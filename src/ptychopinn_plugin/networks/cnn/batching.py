"""Which groups share a batch: neighbours, where their patches are merged."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.networks.cnn.frame_groups import Index


def equal_batches(groups: Index, size: int) -> list[Index]:
    """Cut groups in their order into the fewest batches of up to `size`, all about as large."""
    return np.array_split(groups, math.ceil(len(groups) / size)) if len(groups) else []


def compact_batches(
    groups: Index,
    centres_px: npt.NDArray[np.float64],
    size: int,
    random: np.random.RandomState,
) -> list[Index]:
    """Deal groups into the fewest batches of up to `size` that lie close together.

    The plane is turned by chance and halved along its longer side, and the halves again, so that
    neighbours meet others in every epoch.

    Args:
        groups: int64 (n, C).
        centres_px: float64 (n, 2), where each group lies.
        size: of a batch, 1 or more.
        random: turns the plane and breaks ties.

    Returns:
        int64 (up to size, C) each.
    """
    if not len(groups):
        return []
    angle = 2 * math.pi * random.random_sample()
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turned = centres_px @ turn
    pending = [(random.permutation(len(groups)), math.ceil(len(groups) / size))]
    parts: list[Index] = []
    while pending:
        rows, batches = pending.pop()
        if batches == 1:
            parts.append(groups[rows])
            continue
        longer = int(np.argmax(np.ptp(turned[rows], axis=0)))
        rows = rows[np.argsort(turned[rows, longer], kind='stable')]
        half = batches // 2
        cut = round(len(rows) * half / batches)
        pending += [(rows[:cut], half), (rows[cut:], batches - half)]
    return parts
