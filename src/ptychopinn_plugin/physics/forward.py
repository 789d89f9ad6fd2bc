"""The forward model: object patches, illuminated and propagated to the detector.

Far-field ptychography with mutually incoherent probe modes (Thibault and Menzel, Nature 494, 68,
2013, doi:10.1038/nature11806): the photons expected at a detector pixel are the sum over modes of
|FFT(probe * patch)|^2. A patch starts at a whole object pixel; the rest of its position, a
fraction of a pixel, is a Fourier shift of the probe. Detector arrays have their zero frequency at
index 0 here; the phase factor of a centred real-space origin drops out of every intensity.
"""

from __future__ import annotations

import math

from ptychopinn_plugin.physics.ops import Array, Ops, fourier_frequencies


def shift_ramps(ops: Ops, shifts_px: Array, size: int) -> tuple[Array, Array]:
    """Return the factors that shift a probe's Fourier transform by a fraction of a pixel.

    Args:
        ops: the framework.
        shifts_px: float32 (n, 2), (row, column).
        size: side N of the probe.

    Returns:
        Two complex64 arrays, (n, 1, N, 1) along rows and (n, 1, 1, N) along columns.
    """
    turns = ops.array(fourier_frequencies(size)) * (-2 * math.pi)
    rows = ops.polar(shifts_px[:, 0:1] * turns)
    columns = ops.polar(shifts_px[:, 1:2] * turns)
    return rows[:, None, :, None], columns[:, None, None, :]


def shifted_probes(ops: Ops, probe: Array, ramps: tuple[Array, Array]) -> Array:
    """Shift a probe to the sub-pixel part of every position.

    Args:
        ops: the framework.
        probe: complex64 (modes, N, N).
        ramps: from `shift_ramps`.

    Returns:
        complex64 (n, modes, N, N).
    """
    return ops.ifft2(shifted_spectra(ops.fft2(probe)[None], ramps))


def shifted_spectra(spectra: Array, ramps: tuple[Array, Array]) -> Array:
    """Return Fourier transforms of probes shifted to every position, (n, modes, N, N).

    Args:
        spectra: complex64 (n or 1, modes, N, N).
        ramps: from `shift_ramps`.
    """
    rows, columns = ramps
    return spectra * (rows * columns)


def propagate(ops: Ops, probes: Array, patches: Array) -> Array:
    """Return the waves at the detector, (n, modes, N, N), zero frequency at index 0.

    Args:
        ops: the framework.
        probes: (n, modes, N, N) from `shifted_probes`.
        patches: (n, N, N), cut from the object.
    """
    return ops.fft2(probes * patches[:, None])


def frame_waves(ops: Ops, probes: Array, patches: Array) -> Array:
    """Return the waves at the detector of probes that were divided by N.

    As `propagate`, by a transform without a norm: a norm would multiply every pixel of every frame.

    Args:
        ops: the framework.
        probes: (n, modes, N, N), shifted to every position, over N.
        patches: (n, N, N), cut from the object.
    """
    return ops.fft2_unscaled(probes * patches[:, None])


def expected_counts(ops: Ops, waves: Array) -> Array:
    """Return the photons expected at each detector pixel, (n, N, N): modes add incoherently."""
    return over_modes(ops, ops.abs2(waves))


def over_modes(ops: Ops, x: Array) -> Array:
    """Sum (n, modes, N, N) over modes; a view where there is one mode only."""
    return x[:, 0] if x.shape[1] == 1 else ops.sum(x, (1,))
