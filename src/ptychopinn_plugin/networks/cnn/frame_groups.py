"""Groups of neighbouring frames, the same ones for the same seed on every machine."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ptychopinn_plugin.errors import PatchError

Index = npt.NDArray[np.int64]
Positions = npt.NDArray[np.float64]

# Distances that differ by less, in object pixels, count as equal: rounding errors of a raster's
# positions must not choose between frames.
DISTANCE_TOLERANCE_PX = 1e-3
# Bounds the memory that the search for neighbours takes, some hundred bytes a pair.
PAIRS_AT_ONCE = 2**18
# RandomState's streams never change: one for the frames, one for the groups of a seed.
FRAMES_STREAM, GROUPS_STREAM = 1, 2


def sampled_frames(
    frame_count: int, *, n_subsample: int, subsample_seed: int, sequential: bool
) -> Index:
    """Return the frames that are used at all.

    Args:
        frame_count: frames of the scan.
        n_subsample: how many to use; 0, or more than there are, for all.
        subsample_seed: of the draw.
        sequential: True takes the first ones in order, False draws without repetition.

    Returns:
        int64 (m,), ascending.
    """
    wanted = min(n_subsample, frame_count) or frame_count
    random = np.random.RandomState([subsample_seed, FRAMES_STREAM])
    return _selected(random, frame_count, wanted, sequential)


def draw_groups(
    positions_px: Positions,
    *,
    gridsize: int,
    neighbor_count: int,
    n_groups: int,
    n_subsample: int = 0,
    subsample_seed: int = 0,
    sequential_sampling: bool = False,
) -> Index:
    """Return groups of gridsize**2 frames, each around a frame of its own.

    Members are drawn from the own frame's nearest ones among the sampled frames. Up to one group a
    sampled frame, own frames do not repeat. Beyond that every frame has as many groups as any
    other, give or take one, and they differ in their members until all combinations are used.

    Args:
        positions_px: float64 (n, 2), finite, object pixels.
        gridsize: square root of the frames in a group.
        neighbor_count: nearest frames that members are drawn from, gridsize**2 - 1 or more; all
            other sampled frames where there are fewer.
        n_groups: how many groups; 0 for one a sampled frame.
        n_subsample: frames to sample from the scan, 0 for all.
        subsample_seed: of the sampled frames, of the own frames and of the members.
        sequential_sampling: True takes the first frames, and the first own frames, in order;
            members are drawn all the same.

    Returns:
        int64 (n_groups, gridsize**2), indices into `positions_px`: the own frame first, then the
        members, nearest first.

    Raises:
        PatchError: fewer neighbours, or fewer sampled frames, than a group needs.
    """
    frames = sampled_frames(
        len(positions_px),
        n_subsample=n_subsample,
        subsample_seed=subsample_seed,
        sequential=sequential_sampling,
    )
    members = gridsize**2 - 1
    check_frames(gridsize, neighbor_count, len(frames))
    random = np.random.RandomState([subsample_seed, GROUPS_STREAM])
    rounds, rest = divmod(n_groups or len(frames), len(frames))
    own = np.concatenate(
        [
            np.tile(np.arange(len(frames)), rounds),
            _selected(random, len(frames), rest, sequential_sampling),
        ]
    )
    if not members:
        return np.asarray(frames[own][:, None])
    near = nearest(positions_px[frames], min(neighbor_count, len(frames) - 1))
    repeats = rounds + bool(rest)
    combinations = _combinations(random, len(frames), repeats, near.shape[1], members)
    repeat = np.arange(len(own)) // len(frames)
    others = np.take_along_axis(near[own], combinations[own, repeat], axis=1)
    return np.asarray(frames[np.concatenate([own[:, None], others], axis=1)])


def nearest(positions_px: Positions, count: int) -> Index:
    """Return the frames nearest to each frame, itself left out.

    Of frames equally near, to DISTANCE_TOLERANCE_PX, the first in the scan is taken.

    Args:
        positions_px: float64 (n, 2), object pixels.
        count: how many, 1 to n - 1.

    Returns:
        int64 (n, count), nearest first.
    """
    kept = _first_at_each_place(positions_px, count + 1)
    tree = cKDTree(positions_px[kept])
    blocks = -(-len(positions_px) * count // PAIRS_AT_ONCE)
    frames = np.arange(len(positions_px))
    return np.concatenate(
        [
            _nearest_to(some, positions_px, kept, tree, count)
            for some in np.array_split(frames, blocks)
        ]
    )


def _nearest_to(
    frames: Index, positions_px: Positions, kept: Index, tree: cKDTree, count: int
) -> Index:
    """Return the nearest of the kept frames to some frames; the tree holds the kept ones."""
    found = np.empty((len(frames), count), dtype=np.int64)
    pending = np.arange(len(frames))
    asked = 2 * count + 2
    while len(pending):
        asked = min(asked, len(kept))
        own = frames[pending]
        _, rows = tree.query(positions_px[own], k=asked)
        candidates = kept[rows]
        # Not the tree's own distances: these are the same, bit for bit, on every machine.
        offsets = positions_px[candidates] - positions_px[own, None]
        rounded = np.rint(np.sqrt(np.sum(offsets**2, axis=-1)) / DISTANCE_TOLERANCE_PX)
        horizon = rounded.max(axis=1)
        rounded[candidates == own[:, None]] = np.inf
        order = np.lexsort((candidates, rounded), axis=-1)[:, :count]
        found[pending] = np.take_along_axis(candidates, order, axis=1)
        last = np.take_along_axis(rounded, order[:, -1:], axis=1)[:, 0]
        # A frame beyond the candidates may be as near as the last one taken.
        pending = pending[last + 1 >= horizon] if asked < len(kept) else pending[:0]
        asked *= 2
    return found


def _first_at_each_place(positions_px: Positions, count: int) -> Index:
    """Return, ascending, the first `count` frames of each position: no one is nearer to others."""
    _, place, sizes = np.unique(positions_px, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(place.ravel(), kind='stable')
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[rank < count])


def _selected(random: np.random.RandomState, count: int, wanted: int, sequential: bool) -> Index:
    """Return `wanted` of `count` indices, ascending: the first ones, or drawn."""
    if sequential:
        return np.arange(wanted, dtype=np.int64)
    return np.sort(random.random_sample(count).argsort(kind='stable')[:wanted])


def _combinations(
    random: np.random.RandomState, frames: int, repeats: int, neighbors: int, members: int
) -> Index:
    """Draw combinations of neighbours, other ones at each repeat until all are used.

    Returns:
        int64 (frames, repeats, members), ascending along the last axis.
    """
    count = math.comb(neighbors, members)
    if count <= 2 * repeats:
        every = np.array(list(itertools.combinations(range(neighbors), members)), dtype=np.int64)
        cycles = [
            random.random_sample((frames, count)).argsort(axis=1, kind='stable')
            for _ in range(-(-repeats // count))
        ]
        return np.asarray(every[np.concatenate(cycles, axis=1)[:, :repeats]])
    drawn = np.empty((frames * repeats, members), dtype=np.int64)
    frame = np.repeat(np.arange(frames), repeats)
    missing = np.arange(len(drawn))
    while len(missing):
        keys = random.random_sample((len(missing), neighbors))
        drawn[missing] = np.sort(keys.argsort(axis=1, kind='stable')[:, :members], axis=1)
        if repeats == 1:
            break
        labelled = np.concatenate([frame[:, None], drawn], axis=1)
        _, first = np.unique(labelled, axis=0, return_index=True)
        missing = np.setdiff1d(np.arange(len(drawn)), first)
    return drawn.reshape(frames, repeats, members)


def check_frames(gridsize: int, neighbor_count: int, frame_count: int) -> None:
    """Check that groups can be filled.

    Raises:
        PatchError: fewer neighbours, or fewer sampled frames, than a group needs.
    """
    size = gridsize**2
    if neighbor_count < size - 1:
        raise PatchError(
            f'groups of {size} frames (gridsize {gridsize}) need neighbor_count {size - 1} or '
            f'more, got {neighbor_count}; raise it or lower gridsize'
        )
    if frame_count < size:
        raise PatchError(
            f'groups of {size} frames (gridsize {gridsize}) need {size} sampled frames or more, '
            f'got {frame_count}; raise n_subsample or lower gridsize'
        )
