"""Loops over the images of a probe's shifts, compiled by Numba; see `fused_loops`.

They compute what `shifts` computes between Fourier transforms.
"""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.physics.compiled_loop import compiled_loop
from ptychopinn_plugin.physics.fused_loops import Floats


@compiled_loop
def products_with_terms(
    spectra: Floats, factors: Floats, scale: np.float32, products: Floats
) -> None:
    """Multiply the spectrum of each mode with each factor.

    Args:
        spectra: (modes, N, 2 N).
        factors: (terms, N, 2 N).
        scale: of all products.
        products: (terms, modes, N, 2 N), is overwritten.
    """
    for term in range(len(factors)):
        factor = factors[term].reshape(-1)
        for mode in range(len(spectra)):
            one, found = spectra[mode].reshape(-1), products[term, mode].reshape(-1)
            for pixel in range(len(one) // 2):
                real, imag = 2 * pixel, 2 * pixel + 1
                a, b = scale * factor[real], scale * factor[imag]
                found[real] = a * one[real] - b * one[imag]
                found[imag] = a * one[imag] + b * one[real]


@compiled_loop
def sum_over_terms(spectra: Floats, factors: Floats, scale: np.float32, sums: Floats) -> None:
    """Add up the spectra of the images of each mode, times the conjugate factors.

    Args:
        spectra: (terms, modes, N, 2 N).
        factors: (terms, N, 2 N).
        scale: of all products.
        sums: (modes, N, 2 N), so far.
    """
    for mode in range(len(sums)):
        summed = sums[mode].reshape(-1)
        for term in range(len(factors)):
            factor, one = factors[term].reshape(-1), spectra[term, mode].reshape(-1)
            for pixel in range(len(summed) // 2):
                real, imag = 2 * pixel, 2 * pixel + 1
                a, b = scale * factor[real], scale * factor[imag]
                summed[real] += a * one[real] + b * one[imag]
                summed[imag] += a * one[imag] - b * one[real]
