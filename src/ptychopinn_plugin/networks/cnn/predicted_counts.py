"""Counts predicted from the network's patches, written once over `Ops`.

Patches of neighbouring frames overlap; averaging them on one region of the object and cutting them
again gives each pixel one value in all frames that illuminate it, the overlap constraint of
PtychoPINN (Hoidn, Mishra and Mehta, Sci. Rep. 13, 22789, 2023,
doi:10.1038/s41598-023-48351-7). Where only the patches of a group are merged, the groups of a
batch lie below each other on one canvas. Patches are flat here, (groups * C, N, N), those of a
group next to each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.cnn.architecture import has_border
from ptychopinn_plugin.physics.constraints import disc
from ptychopinn_plugin.physics.forward import (
    expected_counts,
    propagate,
    shift_ramps,
    shifted_probes,
)
from ptychopinn_plugin.physics.ops import Array, Ops, fourier_frequencies

Image = npt.NDArray[np.float32]
# Weight of dark pixels relative to the brightest: shares of a patch stay defined where its probe is
# dark, and a patch of a neighbour with light there still dominates.
WEIGHT_FLOOR = 1e-3
# Radius of the support of `probe_mask`, as a fraction of the frame's side; that of PtychoPINN.
PROBE_MASK_RADIUS = 0.25


class Placement(NamedTuple):
    """Places of the patches of a batch.

    Attributes:
        shifts_px: float32 (n, 2), the sub-pixel part of each position.
        corners: int64 (n, 2), first pixel of each patch on the canvas; None where patches
            are not merged.
        shares: float32 (n, N, N), each patch's share of the canvas pixels that it lies on; shares
            of a pixel add up to 1. None where patches are not merged.
    """

    shifts_px: Array
    corners: Array | None = None
    shares: Array | None = None


class Optics(NamedTuple):
    """Probe support and exit-wave blur; None where a model has none.

    Attributes:
        support: float32 (N, N), 1 inside the probe's support and 0 outside (`probe_mask`).
        transfer: float32 (N, N), factor of the exit wave's transform, zero frequency at index 0
            (`gaussian_smoothing_sigma`).
    """

    support: Array | None
    transfer: Array | None

    @classmethod
    def from_config(cls, ops: Ops, model: ModelConfig, size: int) -> Optics:
        """Return support and blur of a model, for frames of `size` pixels a side."""
        sigma = model.gaussian_smoothing_sigma
        return cls(
            ops.array(disc(size, PROBE_MASK_RADIUS)) if model.probe_mask else None,
            ops.array(blur_transfer(size, sigma)) if sigma else None,
        )


def blur_transfer(size: int, sigma_px: float) -> Image:
    """Return the transform of a Gaussian blur, float32 (N, N), zero frequency at index 0."""
    frequencies = fourier_frequencies(size).astype(np.float64)
    line = np.exp(-2 * (np.pi * sigma_px * frequencies) ** 2)
    return np.outer(line, line).astype(np.float32)


def masked_probe(model: ModelConfig, probe: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    """Return the probe at the pixels that the network reconstructs, 0 elsewhere.

    Its |probe|^2 weighs patches when they are stitched: neither the empty border of a padded
    object nor pixels outside the probe's support are part of the object.

    Args:
        model: the architecture.
        probe: complex64 (modes, N, N).
    """
    size = probe.shape[-1]
    mask = disc(size, PROBE_MASK_RADIUS) if model.probe_mask else np.ones((size, size), np.float32)
    if model.pad_object and not has_border(model):
        centre = np.zeros_like(mask)
        centre[size // 4 : -(size // 4), size // 4 : -(size // 4)] = 1
        mask = mask * centre
    return (probe * mask).astype(np.complex64)


def patch_weight(probe: npt.NDArray[np.complex64]) -> Image:
    """Return the weight of a patch's pixels, float32 (N, N): |probe|^2 and a small floor, up to 1.

    Args:
        probe: complex64 (modes, N, N), from `masked_probe`.
    """
    dose = np.sum(np.abs(probe) ** 2, axis=0)
    return np.asarray(dose / max(float(dose.max()), 1e-30) + WEIGHT_FLOOR, np.float32)


def merge_overlaps(
    ops: Ops, patches: Array, corners: Array, shares: Array, canvas_shape: tuple[int, int]
) -> Array:
    """Average patches where they overlap and cut them again, (n, N, N).

    Args:
        ops: the framework.
        patches: complex64 (n, N, N).
        corners: int64 (n, 2), inside the canvas.
        shares: float32 (n, N, N), of the canvas pixels under each patch.
        canvas_shape: (H, W).
    """
    canvas = ops.zeros(canvas_shape, 'complex64')
    canvas = ops.add(canvas, ops.scale(patches, shares), corners)
    return ops.cut(canvas, corners, patches.shape[-1])


def predicted_counts(
    ops: Ops,
    optics: Optics,
    patches: Array,
    probe: Array,
    placement: Placement,
    canvas_shape: tuple[int, int],
) -> Array:
    """Return the counts predicted from patches, float32 (n, N, N), zero frequency at index 0.

    Args:
        ops: the framework.
        optics: from the model's config.
        patches: complex64 (n, N, N).
        probe: complex64 (modes, N, N).
        placement: of the patches.
        canvas_shape: (H, W) of the canvas.
    """
    if placement.corners is not None:
        patches = merge_overlaps(ops, patches, placement.corners, placement.shares, canvas_shape)
    if optics.support is not None:
        probe = ops.scale(probe, optics.support)
    ramps = shift_ramps(ops, placement.shifts_px, patches.shape[-1])
    waves = propagate(ops, shifted_probes(ops, probe, ramps), patches)
    if optics.transfer is not None:
        waves = ops.scale(waves, optics.transfer)
    return expected_counts(ops, waves)
