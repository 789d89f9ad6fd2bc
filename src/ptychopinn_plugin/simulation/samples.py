"""Samples: complex transmission functions with known ground truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config.simulation import ObjectKind
from ptychopinn_plugin.simulation import textures
from ptychopinn_plugin.simulation.textures import Image, Shape

TEXTURES = {
    'lines': textures.lines,
    'grf': textures.gaussian_random_field,
    'siemens': textures.siemens_star,
    'cells': textures.cells,
    'polygons': textures.polygons,
}
BAND_LIMIT = 0.35  # cycles a pixel, where details have fallen to 1/e


def make_object(
    kind: ObjectKind,
    shape: Shape,
    rng: np.random.Generator,
    *,
    amplitude_contrast: float = 0.45,
    phase_range_rad: float = 1.6,
) -> npt.NDArray[np.complex64]:
    """Make a sample.

    Args:
        kind: the family of shapes; amplitude and phase are independent, except for 'siemens', a
            star of one material, where both show the same image.
        shape: (H, W) in pixels.
        rng: where every random choice comes from.
        amplitude_contrast: the amplitude lies in [1 - amplitude_contrast, 1], 1 where empty.
        phase_range_rad: the phase lies within half of it on both sides of zero, radians.

    Returns:
        complex64 (H, W), band-limited so that the shapes have no steps finer than a pixel.
    """
    absorption = _softened(_image(kind, shape, rng))
    delay = absorption if kind == 'siemens' else _softened(_image(kind, shape, rng))
    amplitude = 1 - amplitude_contrast * absorption
    sample: npt.NDArray[np.complex64] = (
        amplitude * np.exp(1j * phase_range_rad * (delay - 0.5))
    ).astype(np.complex64)
    return sample


def _image(kind: ObjectKind, shape: Shape, rng: np.random.Generator) -> Image:
    if kind != 'mixed':
        return TEXTURES[kind](shape, rng)
    names = rng.choice(sorted(TEXTURES), size=int(rng.integers(2, 4)), replace=False)
    weights = rng.dirichlet(np.full(len(names), 3.0))
    blend = np.zeros(shape)
    for name, weight in zip(names, weights, strict=True):
        blend += weight * TEXTURES[str(name)](shape, rng)
    return blend


def _softened(image: Image) -> Image:
    frequency = np.hypot(
        np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None, :]
    )
    low_pass = np.exp(-((frequency / BAND_LIMIT) ** 4))
    return textures.stretched(np.fft.ifft2(np.fft.fft2(image) * low_pass).real)
