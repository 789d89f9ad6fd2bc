"""The pupil of a probe, and its defocus in the paraxial approximation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

TINY = 1e-30

Floats = npt.NDArray[np.float64]


def pupil(power: Floats) -> tuple[Floats, float]:
    """Return squared distances from a pupil's centre of light, (N, N), and its radius.

    In cycles a pixel, zero frequency at index 0. The radius is that of a disc with the same second
    moment.

    Args:
        power: float64 (N, N), of the probe's Fourier transform.
    """
    weight = power / max(float(power.sum()), TINY)
    k = np.fft.fftfreq(len(weight))
    turn = np.exp(2j * np.pi * k)
    row, column = (np.angle(weight.sum(axis=axis) @ turn) / (2 * np.pi) for axis in (1, 0))
    square = (k[:, None] - row) ** 2 + (k - column) ** 2
    return square, math.sqrt(max(2 * float(np.sum(weight * square)), TINY))


def defocus_phase(power: Floats, radius_px: float) -> Floats:
    """Return the phase at the pupil that defocuses a probe, its light staying in place, (N, N).

    Args:
        power: float64 (N, N), of the probe's Fourier transform.
        radius_px: how far light at the edge of the pupil moves.
    """
    square, edge = pupil(power)
    # The slope of this phase at the edge moves light by the radius.
    return np.asarray(np.pi * radius_px / edge * square)
