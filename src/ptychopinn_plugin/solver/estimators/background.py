"""A static background of the detector, estimated together with object and probe."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.photons import mean_photons

Image = npt.NDArray[np.float32]
# Fixed-point iterations of mean and spread; they change little after two.
ITERATIONS = 4
TINY = 1e-30
# Share of a frame's photons above which a background is worth a remark.
LEAST_SHARE = 1e-3


def updated_background(background: Image, score: Image, scan: ScanData) -> Image:
    """Return the background after a step of Fisher scoring, shrunk towards its mean.

    The estimate of each pixel has a variance estimated from the frames (of its scores, which
    stays right while the model is still wrong). What the pixels differ by beyond it is the spread
    of a structured background; without such a spread, the background is one number.

    Args:
        background: float32 (N, N), where the scores were taken, zero frequency at index 0.
        score: float32 (3, N, N), sums of score, squared score and information of each pixel.
        scan: gives the good pixels.

    Returns:
        float32 (N, N), not negative, 0 at bad pixels.
    """
    good = np.fft.ifftshift(~scan.mask)
    total, squared, information = score.astype(np.float64)
    information = np.maximum(information, TINY)
    estimate = background + total / information
    variance = np.maximum(squared / information**2, 1 / information)
    mean, spread = mean_and_spread(estimate[good], variance[good])
    shrunk = (estimate * spread + mean * variance) / (spread + variance)
    return np.where(good, np.maximum(shrunk, 0), 0).astype(np.float32)


def background_remarks(background: Image, scan: ScanData) -> list[str]:
    """Return a sentence on a background that is not negligible beside the frames' photons."""
    good = np.fft.ifftshift(~scan.mask)
    counts = float(np.sum(background[good], dtype=np.float64))
    if counts < LEAST_SHARE * mean_photons(scan):
        return []
    mean = counts / max(int(np.count_nonzero(good)), 1)
    share = counts / mean_photons(scan)
    return [f'the detector has a background of {mean:.3g} counts a pixel ({share:.1%} of a frame)']


def mean_and_spread(
    values: npt.NDArray[np.float64], variances: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Return the mean of values and the variance that they have beyond their own.

    The moment estimate of a random-effects model (DerSimonian and Laird, Control. Clin. Trials 7,
    177, 1986, doi:10.1016/0197-2456(86)90046-2), iterated with its own weights.

    Args:
        values: float64 (k,).
        variances: float64 (k,), of each value, positive.
    """
    mean, spread = 0.0, 0.0
    for _ in range(ITERATIONS):
        weights = 1 / (variances + spread)
        mean = float(np.sum(values * weights) / np.sum(weights))
        excess = ((values - mean) ** 2 - variances) * weights**2
        spread = max(0.0, float(np.sum(excess) / np.sum(weights**2)))
    return mean, spread
