"""Batches of frame groups for the published network, NumPy only.

Frames are normalised one batch at a time, so that a scan is held in memory once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.cnn.architecture import corrects, output_channels
from ptychopinn_plugin.networks.cnn.back_projection import ObjectImage, back_projected_object
from ptychopinn_plugin.networks.cnn.frame_groups import Index
from ptychopinn_plugin.networks.cnn.ground_truth import check_ground_truth, ground_truth_patches
from ptychopinn_plugin.networks.cnn.predicted_counts import masked_probe, patch_weight
from ptychopinn_plugin.physics.overlap_add import add_patches, cut_patches
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import patch_placement
from ptychopinn_plugin.scan.photons import mean_photons
from ptychopinn_plugin.solver.batches import frame_amplitudes


@dataclass(frozen=True, eq=False)
class GroupBatch:
    """Some groups of one scan; n patches, those of a group next to each other.

    Attributes:
        inputs: float32 (b, C, N, N), normalised amplitudes, zero frequency at N//2; or (b, 2, N,
            N), real and imaginary part of the object under each frame after one step of all
            frames, less those of an empty one.
        amplitudes: float32 (n, N, N), sqrt(counts), zero frequency at index 0; bad pixels 0.
        positions_px: float64 (n, 2), (row, column) of the patches, object pixels.
        shifts_px: float32 (n, 2), the sub-pixel part of each position.
        probe: complex64 (modes, N, N), of the scan.
        good: float32 (N, N), 1 at good detector pixels and 0 at bad ones, zero frequency at
            index 0.
        canvas_shape: (H, W) of the canvas on which patches are merged.
        corners: int64 (n, 2) on that canvas, None where patches are not merged.
        shares: float32 (n, N, N), each patch's share of the canvas; None where patches are not
            merged.
        ground_truth: complex64 (n, N, N), patches of the true object or of the one that physics
            passes reconstruct, or None.
        scan_index: number of the scan in its training.
    """

    inputs: npt.NDArray[np.float32]
    amplitudes: npt.NDArray[np.float32]
    positions_px: npt.NDArray[np.float64]
    shifts_px: npt.NDArray[np.float32]
    probe: npt.NDArray[np.complex64]
    good: npt.NDArray[np.float32]
    canvas_shape: tuple[int, int]
    corners: Index | None = None
    shares: npt.NDArray[np.float32] | None = None
    ground_truth: npt.NDArray[np.complex64] | None = None
    scan_index: int = 0


@dataclass(frozen=True, eq=False)
class GroupedScan:
    """A scan and all that its batches have in common.

    Attributes:
        scan: the frames, the probe and, for supervised training, the true object.
        model: the architecture.
        index: number of the scan in its training.
        photons: mean over the frames, at good pixels.
        side: of a square that holds any group, object pixels.
        weight: float32 (N, N), of a patch's pixels where patches overlap.
        good: float32 (N, N), 1 at good detector pixels, zero frequency at index 0.
        corners: int64 (n, 2), first object pixel of each frame's patch.
        shifts_px: float32 (n, 2), the sub-pixel part of each position.
        with_ground_truth: whether batches hold patches of the true object.
        overlap: whether the patches of a batch are merged, or those of each group.
        back_projection: the object after one step, where that is the network's input.
        target: the object that the network learns in place of the frames; None for the frames.
    """

    scan: ScanData
    model: ModelConfig
    index: int
    photons: float
    side: int
    weight: npt.NDArray[np.float32]
    good: npt.NDArray[np.float32]
    corners: Index
    shifts_px: npt.NDArray[np.float32]
    with_ground_truth: bool = False
    overlap: Literal['batch', 'group'] = 'batch'
    back_projection: ObjectImage | None = None
    target: ObjectImage | None = None

    @classmethod
    def from_scan(
        cls,
        scan: ScanData,
        model: ModelConfig,
        groups: Sequence[Index],
        *,
        index: int = 0,
        with_ground_truth: bool = False,
        overlap: Literal['batch', 'group'] = 'batch',
        target: ObjectImage | None = None,
    ) -> GroupedScan:
        """Compute what the batches of a scan have in common.

        Args:
            scan: the scan.
            model: the architecture.
            groups: int64 (groups, C) each, all that batches will be made of.
            index: number of the scan in its training.
            with_ground_truth: whether batches hold patches of the true object.
            overlap: which patches are merged.
            target: the object that the network learns in place of the frames.

        Raises:
            ScanDataError: the true object is needed and not known.
        """
        if with_ground_truth:
            check_ground_truth(scan)
        corners, shifts = patch_placement(scan.positions_px, scan.frame_size)
        extent = max((int(np.ptp(corners[one], axis=1).max()) for one in groups), default=0)
        return cls(
            scan,
            model,
            index,
            mean_photons(scan),
            extent + scan.frame_size,
            patch_weight(masked_probe(model, scan.probe)),
            np.fft.ifftshift(~scan.mask).astype(np.float32),
            corners,
            shifts,
            with_ground_truth,
            overlap,
            back_projected_object(scan, scan.probe) if corrects(model) else None,
            target,
        )

    @property
    def merges_batches(self) -> bool:
        """Whether the patches of a batch are merged on one canvas."""
        model = self.model
        predicts = model.model_type == 'pinn' and self.target is None
        return model.object_big and predicts and self.overlap == 'batch'

    def batch(self, groups: Index) -> GroupBatch:
        """Return the batch of some groups, int64 (b, C)."""
        frames = groups[:, : output_channels(self.model)].ravel()
        corners, canvas_shape = self._place(groups)
        return GroupBatch(
            inputs=self._inputs(groups),
            amplitudes=frame_amplitudes(self.scan.counts[frames], self.scan.mask),
            positions_px=self.scan.positions_px[frames],
            shifts_px=self.shifts_px[frames],
            probe=self.scan.probe,
            good=self.good,
            canvas_shape=canvas_shape,
            corners=corners,
            shares=None if corners is None else patch_shares(corners, self.weight, canvas_shape),
            ground_truth=self._ground_truth(frames),
            scan_index=self.index,
        )

    def _ground_truth(self, frames: Index) -> npt.NDArray[np.complex64] | None:
        """Return what the network learns in place of the frames, complex64 (n, N, N)."""
        if self.target is not None:
            return self.target.patches(self.corners[frames], self.scan.frame_size)
        return ground_truth_patches(self.scan, frames) if self.with_ground_truth else None

    def _inputs(self, groups: Index) -> npt.NDArray[np.float32]:
        """Return the network's input, float32, see `GroupBatch`."""
        if self.back_projection is not None:
            corners = self.corners[groups[:, 0]]
            change = self.back_projection.patches(corners, self.scan.frame_size) - 1
            return np.stack([change.real, change.imag], axis=1)
        frames = self.scan.counts[groups.ravel()]
        amplitudes = np.sqrt(np.where(self.scan.mask, np.float32(0), frames))
        amplitudes *= np.float32(input_scale(self.scan.frame_size, self.photons))
        return amplitudes.reshape(*groups.shape, *amplitudes.shape[1:])

    def _place(self, groups: Index) -> tuple[Index | None, tuple[int, int]]:
        """Place the patches of a batch on its canvas.

        All patches lie as on the object where batches are merged; else those of each group do, one
        group below the other. Where a group has one patch only, nothing is merged.
        """
        size = self.scan.frame_size
        corners = self.corners[groups[:, : output_channels(self.model)]]
        if self.merges_batches:
            flat = corners.reshape(-1, 2) - corners.min(axis=(0, 1))
            height, width = (flat.max(axis=0) + size).tolist()
            return flat, (height, width)
        if corners.shape[1] == 1:
            return None, (size, size)
        corners = corners - corners.min(axis=1, keepdims=True)
        corners[..., 0] += self.side * np.arange(len(groups))[:, None]
        return corners.reshape(-1, 2), (len(groups) * self.side, self.side)


def input_scale(size: int, photons: float) -> float:
    """Return the factor of the network's input: frames then have a mean power of (N/2)^2.

    The normalisation of PtychoPINN (doi:10.1038/s41598-023-48351-7).
    """
    return size / 2 / math.sqrt(max(photons, 1e-30))


def patch_shares(
    corners: Index, weight: npt.NDArray[np.float32], canvas_shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Return each patch's share of the canvas under it, float32 (n, N, N); they add up to 1.

    Args:
        corners: int64 (n, 2).
        weight: float32 (N, N), positive.
        canvas_shape: (H, W).
    """
    repeated = np.broadcast_to(weight, (len(corners), *weight.shape))
    total = add_patches(np.zeros(canvas_shape, np.float32), repeated, corners)
    return np.asarray(weight / cut_patches(total, corners, len(weight)))
