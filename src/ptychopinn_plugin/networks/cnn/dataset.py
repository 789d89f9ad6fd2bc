"""The groups of frames that the published network is trained on and applied to, NumPy only.

Frames stay as they are and are normalised a batch at a time, so that a scan is held once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.cnn.architecture import patches_of
from ptychopinn_plugin.networks.cnn.frame_groups import Index
from ptychopinn_plugin.networks.cnn.ground_truth import check_truth, true_patches_of
from ptychopinn_plugin.networks.cnn.predicted_counts import known_part, patch_weight
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import patch_placement
from ptychopinn_plugin.scan.photons import mean_photons
from ptychopinn_plugin.solver.batches import frame_amplitudes

Value = TypeVar('Value', bound=np.generic)


@dataclass(frozen=True, eq=False)
class GroupBatch:
    """A few groups as one step of the optimiser handles them; n patches, C of a group together.

    Attributes:
        inputs: float32 (b, C, N, N), normalised amplitudes, zero frequency at N//2.
        amplitudes: float32 (n, N, N), sqrt(counts), zero frequency at index 0; bad pixels 0.
        positions_px: float64 (n, 2), of the patches.
        shifts_px: float32 (n, 2), the sub-pixel part of each position.
        corners: int64 (n, 2) on the canvas of the batch, None where patches stand alone.
        shares: float32 (n, N, N), of that canvas; None where patches stand alone.
        canvas_shape: (H, W) of the canvas.
        truth: complex64 (n, N, N), patches of the known object, or None.
        scan: number of the scan that the groups are of.
    """

    inputs: npt.NDArray[np.float32]
    amplitudes: npt.NDArray[np.float32]
    positions_px: npt.NDArray[np.float64]
    shifts_px: npt.NDArray[np.float32]
    corners: Index | None
    shares: npt.NDArray[np.float32] | None
    canvas_shape: tuple[int, int]
    truth: npt.NDArray[np.complex64] | None = None
    scan: int = 0


@dataclass(frozen=True, eq=False)
class GroupedScan:
    """A scan ready to be cut into batches of groups.

    Attributes:
        scan: the frames, the probe and, for supervised training, the known object.
        model: the network's shape.
        number: of the scan in its training.
        photons: a frame, of its good pixels.
        side: of the region that holds any group, object pixels.
        overlap: whether the patches of a batch are merged, or those of each group.
        weight: float32 (N, N), of a patch's pixels where patches overlap.
        corners: int64 (n, 2), first object pixel of each frame's patch.
        shifts_px: float32 (n, 2), the sub-pixel part of each position.
        with_truth: whether batches hold patches of the known object.
    """

    scan: ScanData
    model: ModelConfig
    number: int
    photons: float
    side: int
    weight: npt.NDArray[np.float32]
    corners: Index
    shifts_px: npt.NDArray[np.float32]
    with_truth: bool = False
    overlap: Literal['batch', 'group'] = 'batch'

    @classmethod
    def of(
        cls,
        scan: ScanData,
        model: ModelConfig,
        groups: Sequence[Index],
        *,
        number: int = 0,
        with_truth: bool = False,
        overlap: Literal['batch', 'group'] = 'batch',
    ) -> GroupedScan:
        """Prepare a scan.

        Args:
            scan: the scan.
            model: the network's shape.
            groups: int64 (groups, C) each, all that batches will be made of.
            number: of the scan in its training.
            with_truth: whether patches of its object are wanted.
            overlap: which patches are merged.

        Raises:
            ScanDataError: an object is needed and not known.
        """
        if with_truth:
            check_truth(scan)
        corners, shifts = patch_placement(scan.positions_px, scan.frame_size)
        extent = max((int(np.ptp(corners[one], axis=1).max()) for one in groups), default=0)
        return cls(
            scan,
            model,
            number,
            mean_photons(scan),
            extent + scan.frame_size,
            patch_weight(known_part(model, scan.probe)),
            corners,
            shifts,
            with_truth,
            overlap,
        )

    @property
    def merges_batches(self) -> bool:
        """Whether the patches of a batch are merged on one region of the object."""
        model = self.model
        return model.object_big and model.model_type == 'pinn' and self.overlap == 'batch'

    def batch(self, groups: Index) -> GroupBatch:
        """Return the batch of some groups, int64 (b, C)."""
        flat = groups[:, : patches_of(self.model)].ravel()
        corners, canvas_shape = self._regions(groups)
        return GroupBatch(
            self._inputs(groups),
            frame_amplitudes(self.scan.counts[flat], self.scan.mask),
            self.scan.positions_px[flat],
            self.shifts_px[flat],
            corners,
            None if corners is None else shares_of(corners, self.weight, canvas_shape),
            canvas_shape,
            true_patches_of(self.scan, flat) if self.with_truth else None,
            self.number,
        )

    def _inputs(self, groups: Index) -> npt.NDArray[np.float32]:
        """Return normalised amplitudes, float32 (b, C, N, N)."""
        frames = self.scan.counts[groups.ravel()]
        amplitudes = np.sqrt(np.where(self.scan.mask, np.float32(0), frames))
        amplitudes *= np.float32(input_scale(self.scan.frame_size, self.photons))
        return amplitudes.reshape(*groups.shape, *amplitudes.shape[1:])

    def _regions(self, groups: Index) -> tuple[Index | None, tuple[int, int]]:
        """Lay patches on a canvas, or those of each group below the last; None where none meet."""
        size = self.scan.frame_size
        corners = self.corners[groups[:, : patches_of(self.model)]]
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
    """Return the factor of the network's input: frames then have a mean power of (N/2)^2."""
    return size / 2 / math.sqrt(max(photons, 1e-30))


def shares_of(
    corners: Index, weight: npt.NDArray[np.float32], canvas_shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Return each patch's share of the canvas under it, float32 (n, N, N); they add up to 1.

    Args:
        corners: int64 (n, 2).
        weight: float32 (N, N), positive.
        canvas_shape: (H, W).
    """
    size = len(weight)
    total = np.zeros(canvas_shape, np.float32)
    for row, column in corners.tolist():
        total[row : row + size, column : column + size] += weight
    return np.asarray(weight / _cut(total, corners, size))


def _cut(canvas: npt.NDArray[Value], corners: Index, size: int) -> npt.NDArray[Value]:
    """Cut patches (n, size, size) out of a canvas."""
    windows = np.lib.stride_tricks.sliding_window_view(canvas, (size, size))
    return np.asarray(windows[corners[:, 0], corners[:, 1]])
