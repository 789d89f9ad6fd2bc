"""The freedoms that ptychography leaves open: a complex scale and a linear phase ramp."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex64] | npt.NDArray[np.complex128]


def phase_ramp(image: Complex, gradient: tuple[float, float]) -> npt.NDArray[np.complex128]:
    """Return exp(i (row, column) . gradient) about the centre of an image.

    Args:
        image: (H, W), gives the shape.
        gradient: (row, column), radians a pixel.
    """
    rows = np.arange(image.shape[0]) - image.shape[0] // 2
    columns = np.arange(image.shape[1]) - image.shape[1] // 2
    return np.asarray(
        np.exp(1j * gradient[0] * rows)[:, None] * np.exp(1j * gradient[1] * columns)[None, :]
    )


def phase_gradient(image: Complex) -> tuple[float, float]:
    """Return the phase step from pixel to pixel that most of an image has, (row, column), radians.

    It is the median of the steps about their complex mean: wrapped phases do no harm, and edges
    of the sample do not tilt the flat parts. Pixels that are not finite are left out.
    """
    return (
        _common_step(image[1:] * np.conj(image[:-1])),
        _common_step(image[:, 1:] * np.conj(image[:, :-1])),
    )


def without_ramp(image: Complex) -> npt.NDArray[np.complex128]:
    """Return an image (H, W) with its mean phase gradient and its mean phase taken off."""
    row, column = phase_gradient(image)
    flat = image * phase_ramp(image, (-row, -column))
    return np.asarray(flat * np.exp(-1j * np.angle(np.nansum(flat))))


def aligned(image: Complex, reference: Complex) -> npt.NDArray[np.complex128]:
    """Return `image` with the complex scale and the phase ramp that bring it closest to another.

    Args:
        image: (H, W), finite.
        reference: (H, W), finite.
    """
    image = image.astype(np.complex128)
    image = image * phase_ramp(image, phase_gradient(reference * np.conj(image)))
    rows, columns = np.indices(image.shape).reshape(2, -1) - np.array(image.shape)[:, None] // 2
    planes = np.stack([rows, columns, np.ones(rows.size)], axis=1)
    weight = np.abs(reference).ravel()
    for _ in range(3):
        image = image * (np.vdot(image, reference) / np.vdot(image, image))
        rest = np.angle(reference * np.conj(image)).ravel()
        # Least squares on the phase itself once it no longer wraps.
        slope, *_ = np.linalg.lstsq(planes * weight[:, None], rest * weight, rcond=None)
        image = image * phase_ramp(image, (slope[0], slope[1])) * np.exp(1j * slope[2])
    return np.asarray(image * (np.vdot(image, reference) / np.vdot(image, image)))


def _common_step(steps: Complex) -> float:
    steps = steps[np.isfinite(steps) & (steps != 0)].astype(np.complex128)
    if not steps.size:
        return 0.0
    mean = float(np.angle(steps.sum()))
    return mean + float(np.median(np.angle(steps * np.exp(-1j * mean))))


def fourier_coordinates(size: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the spatial frequencies of rows (N, 1) and columns (1, N), cycles a pixel."""
    frequencies = np.fft.fftfreq(size).astype(np.float64)
    return frequencies[:, None], frequencies[None, :]
