"""The phase of each patch as a whole, which its frame does not show, from patches that overlap.

A frame stays the same where its patch is multiplied by a constant phase, so patches that are right
one by one may not fit each other. Each is turned to the object that all of them make together, and
that object is made anew, again and again (a generalised power method: Boumal, SIAM J. Optim. 26,
2355, 2016, doi:10.1137/16M105808X). What a patch knows of its turn spreads slowly. A few iterations
let neighbours agree; many would add up small errors of the patches to large ones across a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.canvas import patch_placement

Complex = npt.NDArray[np.complex64]
Corners = npt.NDArray[np.int64]

ITERATIONS = 30
# Share of the brightest pixel's light that counts as none.
DARK = 1e-3
# Patches whose place on the object is looked at together.
TOGETHER = 512


def align_phases(
    parts: Sequence[Complex], positions_px: npt.NDArray[np.float64], probe: Complex
) -> Complex:
    """Return the factors of modulus 1 that make overlapping patches agree, complex64 (n,).

    Only the central half of a patch is looked at; on the whole, nothing is turned.

    Args:
        parts: complex64 (some, N, N) each, n patches of the object, one part after the other.
        positions_px: float64 (n, 2), (row, column), object pixels; a patch starts at
            round(position) - N//2.
        probe: complex64 (modes, N, N), whose |probe|^2 weighs the pixels.
    """
    half = probe.shape[-1] // 2
    quarter = half // 2
    centre = np.s_[..., quarter : quarter + half, quarter : quarter + half]
    weight = np.sum(np.abs(probe[centre]) ** 2, axis=0)
    weight = (weight / (float(weight.max()) or 1.0)).astype(np.float32)
    patches = np.concatenate([part[centre] for part in parts]) * weight
    corners, _ = patch_placement(positions_px, half)
    corners -= corners.min(axis=0)
    dose = _added(np.broadcast_to(weight, patches.shape), corners)
    dose += DARK * dose.max() + np.float32(1e-30)
    turns = np.ones(len(patches), np.complex64)
    for _ in range(ITERATIONS):
        turned = patches * turns[:, None, None]
        turns = _fitting(patches, corners, _added(turned, corners) / dose)
    whole: Complex = turns * np.conj(_phases(np.sum(turns, keepdims=True)))
    return whole


def _added(patches: npt.NDArray[Any], corners: Corners) -> npt.NDArray[Any]:
    """Add patches (n, h, h) to a canvas that holds all of them, (H, W)."""
    size = patches.shape[-1]
    canvas = np.zeros(corners.max(axis=0) + size, patches.dtype)
    for patch, (row, column) in zip(patches, corners.tolist(), strict=True):
        canvas[row : row + size, column : column + size] += patch
    return canvas


def _fitting(patches: Complex, corners: Corners, canvas: Complex) -> Complex:
    """Return the turn of each patch that fits it to the object best, complex64 (n,)."""
    size = patches.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(canvas, (size, size))
    products = [
        np.einsum('nyx,nyx->n', np.conj(patches[part]), windows[tuple(corners[part].T)])
        for part in (slice(first, first + TOGETHER) for first in range(0, len(patches), TOGETHER))
    ]
    return _phases(np.concatenate(products))


def _phases(values: Complex) -> Complex:
    """Return values scaled to modulus 1, 1 where they are 0."""
    modulus = np.abs(values)
    return np.where(modulus > 0, values / np.where(modulus > 0, modulus, 1), np.complex64(1))
