"""The phase of each patch as a whole, which no frame shows, from patches that overlap.

A frame stays the same where its patch is multiplied by a constant phase. Neighbouring patches show
the same object, so their overlaps tell how they are turned against each other; the turns that fit
all overlaps best are found by power iterations with the matrix of overlaps (Singer, Appl. Comput.
Harmon. Anal. 30, 20, 2011, doi:10.1016/j.acha.2010.02.001).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.spatial import cKDTree

Positions = npt.NDArray[np.float64]
Turns = npt.NDArray[np.complex64]

# Nearest patches that a patch is compared with.
NEIGHBORS = 12
# Power iterations: each carries what is known of a turn to the next neighbours.
ITERATIONS = 300


def turns_of(
    patches: npt.NDArray[np.complex64],
    positions_px: Positions,
    probe: npt.NDArray[np.complex64],
) -> Turns:
    """Return the factors of modulus 1 that make overlapping patches agree, complex64 (n,).

    Only the central half of a patch is looked at; on the whole, nothing is turned.

    Args:
        patches: complex64 (n, N, N) of the object; each starts at round(position) - N//2.
        positions_px: float64 (n, 2), (row, column), object pixels.
        probe: complex64 (modes, N, N), whose |probe|^2 weighs the pixels.
    """
    count, size = patches.shape[:2]
    if count < 2:
        return np.ones(count, np.complex64)
    quarter = size // 4
    centre = np.s_[..., quarter : quarter + size // 2, quarter : quarter + size // 2]
    amplitude = np.sqrt(np.sum(np.abs(probe[centre]) ** 2, axis=0))
    weighted = patches[centre] * (amplitude / (float(amplitude.max()) or 1.0))
    overlaps = _overlaps(weighted, np.rint(positions_px).astype(np.int64))
    turns = np.ones(count, np.complex128)
    for _ in range(ITERATIONS):
        turns = _phases(overlaps @ turns)
    turns *= np.conj(_phases(np.sum(turns, keepdims=True)))
    return turns.astype(np.complex64)


def _overlaps(
    weighted: npt.NDArray[np.complex64], corners: npt.NDArray[np.int64]
) -> scipy.sparse.csr_array:
    """Return sum conj(patch i) patch j over the pixels that both lie on, (n, n)."""
    count, size = weighted.shape[:2]
    _, near = cKDTree(corners).query(corners, k=min(NEIGHBORS + 1, count))
    first = np.repeat(np.arange(count), near.shape[1])
    pairs = np.unique(np.sort(np.stack([first, near.ravel()], axis=1), axis=1), axis=0)
    values = np.zeros(len(pairs), np.complex128)
    for number, (i, j) in enumerate(pairs.tolist()):
        row, column = (corners[j] - corners[i]).tolist()
        if abs(row) < size and abs(column) < size:
            one = weighted[
                i, max(row, 0) : size + min(row, 0), max(column, 0) : size + min(column, 0)
            ]
            row, column = -row, -column
            two = weighted[
                j, max(row, 0) : size + min(row, 0), max(column, 0) : size + min(column, 0)
            ]
            values[number] = np.vdot(one, two)
    upper = scipy.sparse.csr_array((values, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    strict = scipy.sparse.triu(upper, 1)
    return scipy.sparse.csr_array(upper + strict.conj().T)


def _phases(values: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """Return values scaled to modulus 1, 1 where they are 0."""
    modulus = np.abs(values)
    return np.where(modulus > 0, values / np.where(modulus > 0, modulus, 1), 1)
