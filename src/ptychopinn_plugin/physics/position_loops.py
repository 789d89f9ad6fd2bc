"""Loops over pixels that find errors of positions, compiled by Numba; see `fused_loops`.

What they compute is defined by `solver.estimators.position_columns`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.compiled_loop import compiled_loop, part_of_loops
from ptychopinn_plugin.physics.fused_loops import PIECE, Floats, sum_expected

Doubles = npt.NDArray[np.float64]

# A number of Python would be double precision, and all arithmetic with it.
_HALF, _QUARTER = np.float32(0.5), np.float32(0.25)


@compiled_loop
def position_sums(
    waves: Floats,
    slopes: tuple[Floats, Floats],
    amplitudes: Floats,
    flux: Floats,
    background: Floats,
    good: Floats,
    floor: np.float32,
    sums: Floats,
) -> None:
    """Sum what the position of each frame takes from its pixels, see `position_columns`.

    Args:
        waves: (b, modes, N, 2 N), at the detector.
        slopes: two of (b, k, N, 2 N), derivatives of the first k modes along rows and columns.
        amplitudes: (b, N, N), sqrt(counts).
        flux: (b,), relative photons.
        background: (N, N), counts.
        good: (N, N), 1 where a detector pixel is used, else 0.
        floor: counts added in divisors.
        sums: (8, b), in the order of `FrameSums`, is overwritten.
    """
    expected = np.empty(good.size, np.float32)
    row, column = np.empty_like(expected), np.empty_like(expected)
    for frame in range(len(waves)):
        sum_expected(waves[frame], flux[frame], background.reshape(-1), expected)
        _real_products(waves[frame], slopes[0][frame], row)
        _real_products(waves[frame], slopes[1][frame], column)
        measured = amplitudes[frame].reshape(-1)
        _sum_positions(
            expected, row, column, measured, good.reshape(-1), flux[frame], floor, sums, frame
        )


@part_of_loops
def _real_products(waves: Floats, others: Floats, summed: Floats) -> None:
    """Sum the real part of conj(wave) * other of a frame (modes, N, 2 N) over the others' modes."""
    for pixel in range(len(summed)):
        summed[pixel] = 0
    for mode in range(len(others)):
        one, other = waves[mode].reshape(-1), others[mode].reshape(-1)
        for pixel in range(len(summed)):
            real, imag = 2 * pixel, 2 * pixel + 1
            summed[pixel] += one[real] * other[real] + one[imag] * other[imag]


@part_of_loops
def _sum_positions(
    expected: Floats,
    row: Floats,
    column: Floats,
    amplitudes: Floats,
    good: Floats,
    flux: np.float32,
    floor: np.float32,
    sums: Floats,
    frame: int,
) -> None:
    """Sum over the pixels of a frame; `row` and `column` are of the squared modulus, halved."""
    score_row = score_column = along_rows = along_columns = np.float32(0)
    mixed = spread = misfit = noise = np.float32(0)
    for pixel in range(len(expected)):
        # Column and residual are over the root of the same number: products of two need no root.
        weight = good[pixel] / (expected[pixel] + floor)
        residual = (amplitudes[pixel] * amplitudes[pixel] - expected[pixel]) * _HALF
        y, x = row[pixel] * flux, column[pixel] * flux
        score_row += y * residual * weight
        score_column += x * residual * weight
        along_rows += y * y * weight
        along_columns += x * x * weight
        mixed += y * x * weight
        square = residual * residual * weight
        spread += (y * y + x * x) * weight * square
        misfit += square
        noise += _QUARTER * weight * expected[pixel]
    sums[0, frame], sums[1, frame] = score_row, score_column
    sums[2, frame], sums[3, frame], sums[4, frame] = along_rows, along_columns, mixed
    sums[5, frame], sums[6, frame], sums[7, frame] = spread, misfit, noise


@compiled_loop
def modulus_residuals(
    waves: Floats,
    amplitudes: Floats,
    flux: Floats,
    background: Floats,
    good: Floats,
    floor: np.float32,
    of_amplitudes: bool,
    found: tuple[Floats, Floats, Floats],
) -> None:
    """Compute modulus and residual of each pixel, see `position_columns`.

    Args:
        waves: (b, modes, N, 2 N), at the detector.
        amplitudes: (b, N, N), sqrt(counts).
        flux: (b,), relative photons.
        background: (N, N), counts.
        good: (N, N), 1 where a detector pixel is used, else 0.
        floor: counts added in divisors.
        of_amplitudes: whether the residual is that of the amplitudes, not of the counts.
        found: three of (b, N, N), overwritten: the factor of the products of `modulus_column`, the
            modulus with the floor and the residual; 0 where a pixel is not used.
    """
    expected, used = np.empty(good.size, np.float32), good.reshape(-1)
    for frame in range(len(waves)):
        sum_expected(waves[frame], flux[frame], background.reshape(-1), expected)
        weight, root = found[0][frame].reshape(-1), found[1][frame].reshape(-1)
        measured, residual = amplitudes[frame].reshape(-1), found[2][frame].reshape(-1)
        for pixel in range(len(expected)):
            modulus = np.sqrt(expected[pixel] + floor)
            root[pixel] = used[pixel] * modulus
            weight[pixel] = used[pixel] / modulus
        if of_amplitudes:
            for pixel in range(len(expected)):
                residual[pixel] = used[pixel] * (measured[pixel] - np.sqrt(expected[pixel]))
        else:
            for pixel in range(len(expected)):
                difference = measured[pixel] * measured[pixel] - expected[pixel]
                residual[pixel] = difference * _HALF * weight[pixel]
        for pixel in range(len(expected)):
            weight[pixel] *= flux[frame]


@compiled_loop
def modulus_column(waves: Floats, others: Floats, weights: Floats, column: Floats) -> None:
    """Compute the derivative of the modulus where the exit waves change.

    Args:
        waves: (b, modes, N, 2 N), at the detector.
        others: (b, k, N, 2 N), their change, of the first k modes.
        weights: (b, N, N), from `modulus_residuals`.
        column: (b, N, N), is overwritten.
    """
    for frame in range(len(waves)):
        values, weight = column[frame].reshape(-1), weights[frame].reshape(-1)
        _real_products(waves[frame], others[frame], values)
        for pixel in range(len(values)):
            values[pixel] *= weight[pixel]


@compiled_loop
def column_sums(columns: Floats, products: Doubles, spread: Doubles) -> None:
    """Add the sums over pixels of products of columns, see `position_columns.AffineSums`.

    Args:
        columns: (k, pixels), the residual last.
        products: float64 (k, k), of two columns each, so far; only where the second is not before
            the first.
        spread: float64 (k - 1,), of squared columns times the squared residual, so far.
    """
    count, squares = len(columns) - 1, np.empty(PIECE, np.float32)
    for begin in range(0, columns.shape[1], PIECE):
        # A piece of all columns stays in the innermost cache.
        end = min(begin + PIECE, columns.shape[1])
        residual = columns[count, begin:end]
        for pixel in range(len(residual)):
            squares[pixel] = residual[pixel] * residual[pixel]
        for first in range(count + 1):
            one = columns[first, begin:end]
            for second in range(first, count + 1):
                other, summed = columns[second, begin:end], np.float32(0)
                for pixel in range(len(one)):
                    summed += one[pixel] * other[pixel]
                products[first, second] += summed
        for first in range(count):
            one, summed = columns[first, begin:end], np.float32(0)
            for pixel in range(len(one)):
                summed += one[pixel] * one[pixel] * squares[pixel]
            spread[first] += summed
