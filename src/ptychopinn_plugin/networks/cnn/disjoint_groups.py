"""Division of frames into compact groups, each frame in one of them."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.networks.cnn.frame_groups import (
    DISTANCE_TOLERANCE_PX,
    Index,
    Positions,
    check_frames,
    sampled_frames,
)


def disjoint_groups(
    positions_px: Positions,
    *,
    gridsize: int,
    n_subsample: int = 0,
    subsample_seed: int = 0,
    sequential_sampling: bool = False,
) -> Index:
    """Return the fewest groups of gridsize**2 frames that hold every sampled frame.

    The frames are halved along the longer side of the area that they lie on, and the halves again,
    so that the frames of a group lie close together. Frames that are left over, fewer than a group
    has, are in one group with frames that another group holds too, the nearest to them.

    Args:
        positions_px: float64 (n, 2), finite, object pixels.
        gridsize: square root of the frames in a group.
        n_subsample: frames to sample from the scan, 0 for all.
        subsample_seed: of the sampled frames.
        sequential_sampling: True takes the first frames.

    Returns:
        int64 (groups, gridsize**2), indices into `positions_px`.

    Raises:
        PatchError: fewer sampled frames than a group needs.
    """
    frames = sampled_frames(
        len(positions_px),
        n_subsample=n_subsample,
        subsample_seed=subsample_seed,
        sequential=sequential_sampling,
    )
    size = gridsize**2
    check_frames(gridsize, size, len(frames))
    pending = [frames]
    groups: list[Index] = []
    while pending:
        members = pending.pop()
        if len(members) < size:
            members = _with_nearest(members, frames, positions_px, size)
        if len(members) == size:
            groups.append(members)
            continue
        pending += _halves(members, positions_px, size)
    return np.stack(groups)


def _halves(members: Index, positions_px: Positions, size: int) -> list[Index]:
    """Cut frames along the longer side of their area, at a multiple of `size`."""
    # A multiple of the tolerance, as rounding errors of a raster must not choose between frames.
    rounded = np.rint(positions_px[members] / DISTANCE_TOLERANCE_PX)
    longer = int(np.argmax(np.ptp(rounded, axis=0)))
    order = np.lexsort((members, rounded[:, 1 - longer], rounded[:, longer]))
    cut = max(len(members) // (2 * size), 1) * size
    return [members[order[:cut]], members[order[cut:]]]


def _with_nearest(members: Index, frames: Index, positions_px: Positions, size: int) -> Index:
    """Fill a group with the frames nearest to its mean position."""
    others = np.setdiff1d(frames, members)
    offsets = positions_px[others] - positions_px[members].mean(axis=0)
    rounded = np.rint(np.sqrt(np.sum(offsets**2, axis=1)) / DISTANCE_TOLERANCE_PX)
    order = np.lexsort((others, rounded))[: size - len(members)]
    return np.concatenate([members, others[order]])
