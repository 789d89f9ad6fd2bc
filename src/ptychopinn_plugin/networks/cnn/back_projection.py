"""The object after one step from an empty one: input of a network that corrects it.

The measured amplitudes take the place of those of the probe in empty space, its phases kept, and
the waves are propagated back to the object: the first step of a reconstruction by physics (Maiden
and Rodenburg, Ultramicroscopy 109, 1256, 2009, doi:10.1016/j.ultramic.2009.05.012). So the network
gets the probe and the positions with the frames (the probe as an input:
doi:10.48550/arXiv.2509.25104), and in object space, for a convolution cannot undo a Fourier
transform.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.forward import (
    expected_counts,
    shift_ramps,
    shifted_spectra,
)
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.overlap_add import add_patches, cut_patches
from ptychopinn_plugin.physics.projection import illumination, object_direction, preconditioned
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import patch_placement
from ptychopinn_plugin.scan.frame_chunks import frame_numbers
from ptychopinn_plugin.solver.batches import frame_amplitudes

# Relative to the largest dose: the step is damped where hardly any light falls, for the photons
# there are few.
DOSE_FLOOR = 1e-2


class ObjectImage(NamedTuple):
    """An object, and where it lies.

    Attributes:
        values: complex64 (H, W).
        origin_px: coordinate of its pixel (0, 0), object pixels.
    """

    values: npt.NDArray[np.complex64]
    origin_px: tuple[int, int]

    def patches(self, corners: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.complex64]:
        """Return the patches (n, size, size) that start at coordinates, int64 (n, 2)."""
        return cut_patches(self.values, corners - np.asarray(self.origin_px), size)


def back_projected_object(scan: ScanData, probe: npt.NDArray[np.complex64]) -> ObjectImage:
    """Return the object after one step of all frames from an empty one, 1 everywhere.

    Bad detector pixels change nothing.

    Args:
        scan: frames and positions.
        probe: complex64 (modes, N, N).
    """
    ops, size = NumpyOps(), scan.frame_size
    corners, shifts = patch_placement(scan.positions_px, size)
    origin = corners.min(axis=0)
    corners = corners - origin
    height, width = (corners.max(axis=0) + size).tolist()
    direction = np.zeros((height, width), np.complex64)
    dose = np.zeros((height, width), np.float32)
    spectra = ops.fft2(probe.astype(np.complex64))[None]
    good = np.fft.ifftshift(~scan.mask).astype(np.float32)
    for frames in frame_numbers(scan.frame_count, scan.counts.nbytes):
        # The waves at the detector behind an empty object.
        waves = shifted_spectra(spectra, shift_ramps(ops, shifts[frames], size))
        probes = ops.ifft2(waves)
        amplitudes = frame_amplitudes(scan.counts[frames], scan.mask)
        factor = _factor(amplitudes, expected_counts(ops, waves)) * good
        residual = ops.ifft2(ops.scale(waves, factor[:, None]))
        add_patches(direction, object_direction(ops, probes, residual), corners[frames])
        add_patches(dose, illumination(ops, probes), corners[frames])
    step = preconditioned(ops, direction, dose, np.float32(DOSE_FLOOR * dose.max() + 1e-30))
    return ObjectImage((1 + step).astype(np.complex64), (int(origin[0]), int(origin[1])))


def _factor(
    amplitudes: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return by how much of themselves the waves change to have the measured amplitudes."""
    modulus = np.sqrt(expected)
    # A pixel that no light reaches has no phase to keep.
    change = (amplitudes / np.maximum(modulus, 1e-12) - 1) * (modulus > 1e-12)
    return np.asarray(change, np.float32)
