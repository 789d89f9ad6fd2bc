"""From a misfit at the detector back to the object and the probe.

Changing the waves at the detector as the noise model asks and propagating back gives the residual
of the exit waves; times the conjugate probe (object) it is the gradient image of the misfit with
respect to object (probe), up to the factor of its preconditioner (Maiden and
Rodenburg, Ultramicroscopy 109, 1256, 2009, doi:10.1016/j.ultramic.2009.05.012; Odstrcil, Menzel
and Guizar-Sicairos, Opt. Express 26, 3108, 2018, doi:10.1364/OE.26.003108).
"""

from __future__ import annotations

from ptychopinn_plugin.physics.forward import over_modes
from ptychopinn_plugin.physics.ops import Array, Ops


def exit_residual(ops: Ops, waves: Array, factor: Array) -> Array:
    """Return N times the change of the exit waves that the measured counts ask for.

    The adjoint of `frame_waves`: with the probes over N, `object_direction` has its own norm.

    Args:
        ops: the framework.
        waves: (n, modes, N, N) at the detector; may be changed in place.
        factor: (n, N, N), of the waves, from `NoiseModel.misfit_and_factor`.

    Returns:
        (n, modes, N, N).
    """
    return ops.ifft2_unscaled(ops.scale_in_place(waves, factor[:, None]))


def object_direction(ops: Ops, probes: Array, residual: Array) -> Array:
    """Return patches (n, N, N) to overlap-add: sum over modes of conj(probe) * residual."""
    return over_modes(ops, ops.conj_product(probes, residual))


def illumination(ops: Ops, probes: Array) -> Array:
    """Return patches (n, N, N) to overlap-add: the dose |probe|^2, summed over modes."""
    return over_modes(ops, ops.abs2(probes))


def probe_spectra(ops: Ops, patches: Array, residual: Array, ramps: tuple[Array, Array]) -> Array:
    """Return N times the Fourier transform of each frame's gradient image of the probe.

    conj(patch) * residual, each frame's sub-pixel shift undone. It stays in Fourier space so that
    frames and batches add before one inverse transform.

    Args:
        ops: the framework.
        patches: (n, N, N).
        residual: (n, modes, N, N), of the exit waves.
        ramps: from `shift_ramps`.

    Returns:
        (n, modes, N, N).
    """
    rows, columns = ramps
    return unshifted_spectra(ops, ops.conj(patches)[:, None] * residual, rows * columns)


def unshifted_spectra(ops: Ops, images: Array, ramps: Array) -> Array:
    """Return N times the Fourier transforms of images, their sub-pixel shifts undone.

    Args:
        ops: the framework.
        images: complex64 (n, modes, N, N).
        ramps: complex64 (n, 1, N, N), the product of those of `shift_ramps`.

    Returns:
        complex64 (n, modes, N, N).
    """
    return ops.conj_product(ramps, ops.fft2_unscaled(images))


def preconditioned(ops: Ops, direction: Array, dose: Array, floor: Array) -> Array:
    """Divide a gradient image by its dose, held off zero where hardly any light falls.

    Args:
        ops: the framework.
        direction: (H, W), overlap-added `object_direction`.
        dose: (H, W), overlap-added `illumination`.
        floor: added to the dose, a scalar in its unit.
    """
    return ops.scale(direction, 1 / (dose + floor))
