"""Constant phases of overlapping patches, which their frames do not determine.

A frame stays the same where its patch is multiplied by a constant phase, so patches that are right
one by one may not fit each other. Each is rotated to fit the object that all of them make together,
and that object is computed anew, in iterations (a generalised power method: Boumal, SIAM J. Optim.
26, 2355, 2016, doi:10.1137/16M105808X). Information on phases spreads by one overlap an iteration.
A few iterations align neighbours; many would add up small errors of the patches to large ones
across a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.overlap_add import add_patches, cut_patches
from ptychopinn_plugin.scan.canvas import patch_placement

Complex = npt.NDArray[np.complex64]
Corners = npt.NDArray[np.int64]
Value = TypeVar('Value', bound=np.generic)

ITERATIONS = 30
# Iterations end where no factor changes by more.
LEAST_CHANGE = 1e-3
# Added to the dose, relative to its maximum: dark pixels then have no weight.
DARK = 1e-3
# Of the rows and columns of the object that are used.
STRIDE = 2
# Patches that are cut at once; bounds the memory.
CHUNK_PATCHES = 512


def align_phases(
    parts: Sequence[Complex], positions_px: npt.NDArray[np.float64], probe: Complex
) -> Complex:
    """Return the factors of modulus 1 that align overlapping patches, complex64 (n,).

    Only the central half of a patch is used, which every configuration of the network
    reconstructs, and of it every other row and column of the object: hundreds of pixels suffice for
    one phase. The sum of all factors has phase 0.

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
    corners, _ = patch_placement(positions_px, half)
    corners -= corners.min(axis=0)
    odd = corners % STRIDE
    patches = _on_even_pixels(np.concatenate([part[centre] for part in parts]) * weight, odd)
    weights = _on_even_pixels(np.broadcast_to(weight, (len(corners), *weight.shape)), odd)
    corners = -(-corners // STRIDE)
    shape = corners.max(axis=0) + half // STRIDE
    dose = add_patches(np.zeros(shape, np.float32), weights, corners)
    dose += DARK * dose.max() + np.float32(1e-30)
    factors = np.ones(len(patches), np.complex64)
    for _ in range(ITERATIONS):
        rotated = patches * factors[:, None, None]
        canvas = add_patches(np.zeros(shape, np.complex64), rotated, corners)
        before, factors = factors, _fit_factors(patches, corners, canvas / dose)
        if np.abs(factors - before).max() < LEAST_CHANGE:
            break
    aligned: Complex = factors * np.conj(_unit_modulus(np.sum(factors, keepdims=True)))
    return aligned


def _on_even_pixels(patches: npt.NDArray[Value], odd: Corners) -> npt.NDArray[Value]:
    """Return the pixels of patches that lie on even rows and columns, (n, N/2, N/2).

    Args:
        patches: (n, N, N).
        odd: int64 (n, 2), 1 where a patch begins at an odd row or column.
    """
    side = patches.shape[-1] // STRIDE
    cells = patches.reshape(-1, side, STRIDE, side, STRIDE)
    return np.asarray(cells[np.arange(len(cells)), :, odd[:, 0], :, odd[:, 1]])


def _fit_factors(patches: Complex, corners: Corners, canvas: Complex) -> Complex:
    """Return the factor of each patch that fits it to the object best, complex64 (n,)."""
    size = patches.shape[-1]
    chunks = (
        slice(first, first + CHUNK_PATCHES) for first in range(0, len(patches), CHUNK_PATCHES)
    )
    products = [
        np.einsum('nyx,nyx->n', np.conj(patches[chunk]), cut_patches(canvas, corners[chunk], size))
        for chunk in chunks
    ]
    return _unit_modulus(np.concatenate(products))


def _unit_modulus(values: Complex) -> Complex:
    """Return values scaled to modulus 1, 1 where they are 0."""
    modulus = np.abs(values)
    return np.where(modulus > 0, values / np.where(modulus > 0, modulus, 1), np.complex64(1))
