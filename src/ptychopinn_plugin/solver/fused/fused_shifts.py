"""The functions of `physics.shifts` by fused loops."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.physics import shift_loops as loops
from ptychopinn_plugin.physics import shifts
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.solver.fused.arrays import parts


def shifted_images(ops: ProcessorOps, probe: Array, factors: Array) -> Array:
    """Return the images that shifted probes are sums of, see `shifts.shifted_images`."""
    if not _are_single(probe, factors):
        return shifts.shifted_images(ops, probe, factors)
    spectra = np.ascontiguousarray(ops.fft2_unscaled(probe))
    products = np.empty((len(factors), *probe.shape), np.complex64)
    loops.products_with_terms(parts(spectra), parts(factors), _scale(probe), parts(products))
    return np.ascontiguousarray(ops.ifft2_of_scratch(products))


def unshifted_sum(ops: ProcessorOps, images: Array, factors: Array) -> Array:
    """Return the adjoint of `shifted_images`, see `shifts.unshifted_sum`."""
    if not _are_single(images, factors):
        return shifts.unshifted_sum(ops, images, factors)
    spectra = np.ascontiguousarray(ops.fft2_unscaled(images))
    sums = np.zeros(images.shape[1:], np.complex64)
    loops.sum_over_terms(parts(spectra), parts(factors), _scale(images), parts(sums))
    return ops.ifft2_of_scratch(sums)


def _are_single(images: Array, factors: Array) -> bool:
    """Return whether arrays have the precision and the order in memory that the loops take."""
    return all(one.dtype == np.complex64 and one.flags.c_contiguous for one in (images, factors))


def _scale(images: Array) -> np.float32:
    """Return the factor of a transform there and one back without norms, both unitary with it."""
    return np.float32(1 / (images.shape[-2] * images.shape[-1]))
