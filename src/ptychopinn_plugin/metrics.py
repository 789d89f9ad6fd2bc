"""Errors of an object against the ground truth, its scale, phase ramp and shift removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import shift as spline_shift
from skimage.metrics import structural_similarity
from skimage.registration import phase_cross_correlation

from ptychopinn_plugin.physics.ambiguities import Complex, aligned, without_ramp
from ptychopinn_plugin.physics.ring_correlation import NYQUIST, hann_window, ring_correlation

# Gauss-Newton steps of the registration; from a tenth of a pixel two suffice.
REFINEMENTS = 8
SMALLEST_STEP_PX = 1e-3
# Pixels at the border that the splines of a shifted image extrapolate.
BORDER_PX = 2


@dataclass(frozen=True)
class Score:
    """Errors and similarities of an object to the ground truth.

    Attributes:
        nrmse: norm of the complex difference over the norm of the ground truth.
        phase_ssim: structural similarity of the phases, 1 at best
            (Wang et al., 2004, doi:10.1109/TIP.2003.819861).
        amplitude_ssim: structural similarity of the amplitudes.
        frc_half: where the Fourier ring correlation first falls below 0.5, as a fraction of the
            Nyquist frequency; 1 where it never does (doi:10.1038/nmeth.2448).
        shift_px: (row, column) by which the object was moved onto the ground truth.
    """

    nrmse: float
    phase_ssim: float
    amplitude_ssim: float
    frc_half: float
    shift_px: tuple[float, float]


def score(object_canvas: Complex, ground_truth: Complex) -> Score:
    """Compare an object with the ground truth, after removing the ambiguities of ptychography.

    Args:
        object_canvas: complex (H, W), finite; crop it to the well covered region.
        ground_truth: complex (H, W), the same region.

    Raises:
        ValueError: the shapes differ, or a value is not finite.
    """
    if object_canvas.shape != ground_truth.shape:
        raise ValueError(
            f'the object is {object_canvas.shape}, the ground truth is {ground_truth.shape}'
        )
    if not (np.isfinite(object_canvas).all() and np.isfinite(ground_truth).all()):
        raise ValueError('object and ground truth must be finite; crop them to the covered region')
    moved, ground_truth, shift = _registered(object_canvas, ground_truth)
    found = aligned(moved, ground_truth)
    phase = np.angle(ground_truth)
    # The difference added to the true phase, so that wraps of the two never disagree.
    found_phase = phase + np.angle(found * np.conj(ground_truth))
    amplitude = np.abs(ground_truth)
    return Score(
        nrmse=float(np.linalg.norm(found - ground_truth) / np.linalg.norm(ground_truth)),
        phase_ssim=_similarity(found_phase, phase),
        amplitude_ssim=_similarity(np.abs(found), amplitude),
        frc_half=ring_correlation_limit(found, ground_truth),
        shift_px=shift,
    )


def ring_correlation_limit(image: Complex, reference: Complex, threshold: float = 0.5) -> float:
    """Return where the Fourier ring correlation falls below a threshold, of Nyquist."""
    window = hann_window(image.shape)
    limit = ring_correlation(image, reference, window).crossing(threshold)
    return 1.0 if limit is None else limit / NYQUIST


def _similarity(image: npt.NDArray[Any], ground_truth: npt.NDArray[Any]) -> float:
    extent = float(np.ptp(ground_truth)) or 1.0
    return float(structural_similarity(image, ground_truth, data_range=extent))


def _registered(
    image: Complex, ground_truth: Complex
) -> tuple[Complex, Complex, tuple[float, float]]:
    """Move `image` onto `ground_truth` by the shift of least error; both lose the spoilt border.

    The maximum of the cross-correlation alone is off by tenths of a pixel where noise or a smooth
    error of the object add to it: enough to hide a good object behind an error of 0.04.
    """
    flat, flat_ground_truth = without_ramp(image), without_ramp(ground_truth)
    shift = _coarse_shift(flat, flat_ground_truth)
    for _ in range(REFINEMENTS):
        inner = _unspoilt(shift, image.shape)
        step = _least_error_step(
            aligned(_shifted(flat, shift)[inner], ground_truth[inner]), ground_truth[inner]
        )
        shift += step
        if np.abs(step).max() < SMALLEST_STEP_PX:
            break
    if np.abs(shift).max() < SMALLEST_STEP_PX:
        return image, ground_truth, (0.0, 0.0)
    inner = _unspoilt(shift, image.shape)
    return _shifted(flat, shift)[inner], ground_truth[inner], (float(shift[0]), float(shift[1]))


def _coarse_shift(flat: Complex, flat_ground_truth: Complex) -> npt.NDArray[np.float64]:
    """Return the shift of the largest cross-correlation, (row, column), pixels."""
    shift = np.zeros(2)
    inner: tuple[slice, slice] = (slice(None), slice(None))
    # What enters at the border pulls each estimate towards zero, so it is repeated.
    for _ in range(4):
        step = _shift_between(_shifted(flat, shift)[inner], flat_ground_truth[inner])
        if np.abs(step).max() < 0.05:
            break
        shift += step
        inner = _unspoilt(shift, flat.shape)
    return shift


def _least_error_step(image: Complex, reference: Complex) -> npt.NDArray[np.float64]:
    """Return the Gauss-Newton step of the shift, (row, column), pixels.

    The difference is fitted by the changes of the image under a shift, and under those of scale
    and ramp, which would otherwise take part of it.
    """
    rows, columns = np.indices(image.shape) - np.array(image.shape)[:, None, None] // 2
    by_row, by_column = np.gradient(image)
    changes = [-by_row, -by_column, image, 1j * image, 1j * rows * image, 1j * columns * image]
    design = np.stack([_as_real(change) for change in changes], axis=1)
    found, *_ = np.linalg.lstsq(design, _as_real(reference - image), rcond=None)
    # A flat image does not determine a shift, and no linear step reaches further than a pixel.
    return np.asarray(np.clip(found[:2], -1, 1), dtype=np.float64)


def _as_real(image: Complex) -> npt.NDArray[np.float64]:
    return np.concatenate([image.real.ravel(), image.imag.ravel()]).astype(np.float64)


def _shifted(image: Complex, shift: npt.NDArray[np.float64]) -> Complex:
    """Return an image shifted by splines: a crop is not periodic, a Fourier shift would ring."""
    if not shift.any():
        return image
    parts = [spline_shift(part, shift, order=3, mode='mirror') for part in (image.real, image.imag)]
    moved: Complex = parts[0] + 1j * parts[1]
    return moved


def _unspoilt(shift: npt.NDArray[np.float64], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the part of an image that a shift filled with pixels of the image."""
    edge = min(int(np.ceil(np.abs(shift).max())) + BORDER_PX, min(shape) // 4)
    return slice(edge, -edge), slice(edge, -edge)


def _shift_between(image: Complex, reference: Complex) -> npt.NDArray[np.float64]:
    window = hann_window(image.shape)
    if np.ptp(np.abs(image - image.mean())) < 1e-9:
        return np.zeros(2)  # a flat image lies anywhere
    found, _, _ = phase_cross_correlation(
        (reference - reference.mean()) * window,
        (image - image.mean()) * window,
        upsample_factor=50,
        normalization=None,
    )
    return np.asarray(found, dtype=np.float64)
