"""The probe of a zone plate with a central stop, out of focus and with aberrations."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Wave: TypeAlias = npt.NDArray[np.complex128]

MODE_POWER_RATIO = 0.35  # photons in a mode over those in the mode before


def make_probe(
    frame_size: int,
    modes: int,
    rng: np.random.Generator,
    *,
    variation: float = 0.0,
    defocus_error: float = 0.0,
) -> Wave:
    """Make an asymmetric complex probe.

    An annular pupil, brighter on one side, with defocus, astigmatism and coma. The lit disc is
    about 0.3 N pixels wide. Further modes are the pupil times polynomials of the spatial
    frequency, as a vibrating source gives, made orthogonal, each weaker than the one before.

    Args:
        frame_size: N, in pixels.
        modes: how many mutually incoherent modes.
        rng: where the random change comes from; the same draws are made whatever the arguments.
        variation: largest relative change of pupil and aberrations, 0 for the same probe always.
        defocus_error: relative change of the defocus on top of that.

    Returns:
        complex128 (modes, N, N), centred on N//2, mutually orthogonal, sum |probe|^2 = 1.
    """
    factor = 1 + variation * rng.uniform(-1, 1, 5)
    rotation = variation * rng.uniform(0, 2 * np.pi)
    k = np.fft.fftshift(np.fft.fftfreq(frame_size))
    grid_y, grid_x = np.meshgrid(k, k, indexing='ij')
    ky = np.cos(rotation) * grid_y + np.sin(rotation) * grid_x
    kx = np.cos(rotation) * grid_x - np.sin(rotation) * grid_y
    r = np.hypot(ky, kx)
    outer, stop = 0.11 * factor[0], 0.035 * factor[1]
    pupil = _soft_edge(r, outer) - 0.9 * _soft_edge(r, stop)
    pupil *= 1 + 0.3 * kx / outer
    # The aberrations grow with N, so that the probe fills the same part of every frame.
    phase = (frame_size / 64) * (
        260 * factor[2] * (1 + defocus_error) * r**2
        + 25 * factor[3] * (ky**2 - kx**2)
        + 300 * factor[4] * ky * r**2
    )
    tilt_y, tilt_x = ky / outer, kx / outer
    polynomials = (
        np.ones_like(r),
        tilt_y,
        tilt_x,
        tilt_y * tilt_x,
        tilt_y**2 - tilt_x**2,
        tilt_y**3,
        tilt_x**3,
        tilt_y**2 * tilt_x,
    )
    waves = np.stack([pupil * np.exp(1j * phase) * factor for factor in polynomials[:modes]])
    return _to_real_space(_weighted(_orthonormal(waves)))


def _soft_edge(r: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp((r - radius) / 0.004))


def _orthonormal(waves: Wave) -> Wave:
    """Return the waves made orthogonal in their order, each of norm 1 (Gram and Schmidt, by QR)."""
    q, r = np.linalg.qr(waves.reshape(len(waves), -1).T)
    # QR leaves the sign of each column free; keep that of the wave it came from.
    signed = q * (np.diagonal(r) / np.abs(np.diagonal(r)))
    return np.asarray(signed.T.reshape(waves.shape))


def _weighted(waves: Wave) -> Wave:
    power = np.power(MODE_POWER_RATIO, np.arange(len(waves)))
    weighted: Wave = waves * np.sqrt(power / power.sum())[:, None, None]
    return weighted


def _to_real_space(pupils: Wave) -> Wave:
    axes = (-2, -1)
    waves = np.fft.ifft2(np.fft.ifftshift(pupils, axes=axes), norm='ortho')
    return np.fft.fftshift(waves, axes=axes)
