"""Frames of short trials at half the resolution: the outer part of the detector is cut off."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan import ScanData

# Frames of a trial are not cut to less than this.
LEAST_SIZE = 64
# Share of the photons that a trial must keep.
LEAST_SHARE = 0.8

Probe = npt.NDArray[np.complex64]


def coarse_frames(few: ScanData) -> tuple[ScanData, int]:
    """Return frames whose outer pixels are cut off, and by which factor the frame is smaller.

    What is left of the detector is the Fourier transform of the exit wave in pixels that are larger
    by that factor. Frames stay as they are where more than a few of the photons are outside.

    Args:
        few: some dozens of frames, with the probe of a trial.
    """
    factor, size = 1, few.frame_size
    light = np.where(few.mask, 0, few.counts).sum(axis=0, dtype=np.float64)
    while size >= 2 * LEAST_SIZE and size % 4 == 0:
        kept = _middle(few.frame_size, size // 2)
        if not light[kept, kept].sum() >= LEAST_SHARE * light.sum():
            break
        factor, size = 2 * factor, size // 2
    if factor == 1:
        return few, 1
    middle = _middle(few.frame_size, size)
    return dataclasses.replace(
        few,
        counts=np.ascontiguousarray(few.counts[:, middle, middle]),
        mask=few.mask[middle, middle],
        positions_px=few.positions_px / factor,
        probe=coarse_probe(few.probe, size),
        object_guess=None,
        true_patches=None,
    ), factor


def coarse_probe(probe: Probe, size: int) -> Probe:
    """Return a probe in larger pixels on the same field, complex64 (modes, size, size).

    Args:
        probe: complex64 (modes, N, N).
        size: even, less than N.
    """
    middle, axes = _middle(probe.shape[-1], size), (-2, -1)
    spectrum = np.fft.fftshift(np.fft.fft2(probe.astype(np.complex128), norm='ortho'), axes=axes)
    cut = np.fft.ifftshift(spectrum[:, middle, middle], axes=axes)
    return np.asarray(np.fft.ifft2(cut, norm='ortho'), np.complex64)


def _middle(size: int, kept: int) -> slice:
    """Return the pixels about the zero frequency at size // 2."""
    first = size // 2 - kept // 2
    return slice(first, first + kept)
