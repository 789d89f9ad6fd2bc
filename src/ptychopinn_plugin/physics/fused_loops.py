"""Loops over the pixels of a batch of frames, compiled by Numba into machine code.

The functions of `Ops` read and write all frames at each multiplication and addition; a loop here
does all arithmetic of a pixel at once, and what it needs of a frame stays in the core's cache. The
loops are what the functions of `forward`, `noise_models`, `projection` and `shifts` compute between
Fourier transforms: those are the reference that the tests compare with.

Complex arrays come as float32, real and imaginary part of a pixel beside each other: compilers find
vector instructions for these. Arrays are C-contiguous. The loops run on one core, hold no lock of
the interpreter and share nothing, so that threads may call them at once with their own sums.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics import noise_models
from ptychopinn_plugin.physics.compiled_loop import compiled_loop, part_of_loops

Floats = npt.NDArray[np.float32]
Corners = npt.NDArray[np.int64]

# A number of Python would be double precision, and all arithmetic with it.
_ONE, _TWO = np.float32(1), np.float32(2)
_HALF = np.float32(0.5)
_COUNT_FLOOR = np.float32(noise_models.COUNT_FLOOR)
_DIVISOR_FLOOR = np.float32(noise_models.DIVISOR_FLOOR)
_DARK_SHARE = np.float32(noise_models.DARK_SHARE)
_TINY = np.float32(noise_models.TINY)
# Numbers of an image that are worked on together: those of 21 images fit the innermost cache.
PIECE = 512
_LOG2 = np.float32(math.log(2))
# Bits of the float32 sqrt(1/2), and of its fraction.
_ROOT_BITS, _FRACTION_BITS = np.int32(0x3F3504F3), np.int32(23)
# 2 artanh(s) = 2 s + 2/3 s^3 + ...; up to s = 0.172 the next term is less than rounding.
_ARTANH = tuple(np.float32(2 / order) for order in (9, 7, 5, 3, 1))


@part_of_loops
def _log(x: np.float32) -> np.float32:
    """Return the natural logarithm of a positive normal number, to rounding.

    In vector instructions, which compilers do not have for `math.log`.
    """
    bits = np.float32(x).view(np.int32)
    power = (bits - _ROOT_BITS) >> _FRACTION_BITS
    # Between sqrt(1/2) and sqrt(2).
    fraction = np.int32(bits - (power << _FRACTION_BITS)).view(np.float32)
    s = (fraction - _ONE) / (fraction + _ONE)
    square = s * s
    series = _ARTANH[0]
    series = series * square + _ARTANH[1]
    series = series * square + _ARTANH[2]
    series = series * square + _ARTANH[3]
    series = series * square + _ARTANH[4]
    return np.float32(power) * _LOG2 + s * series


@compiled_loop
def exit_waves(canvas: Floats, corners: Corners, probes: Floats, waves: Floats) -> None:
    """Multiply the probe of each frame with its patch of the object.

    Args:
        canvas: (H, 2 W), the object.
        corners: int64 (b, 2), (row, column) of each patch's first pixel.
        probes: (b, modes, N, 2 N), over N.
        waves: (b, modes, N, 2 N), is overwritten.
    """
    frames, modes, size, _ = probes.shape
    for frame in range(frames):
        top, left = corners[frame, 0], 2 * corners[frame, 1]
        for mode in range(modes):
            for row in range(size):
                patch = canvas[top + row, left : left + 2 * size]
                probe, wave = probes[frame, mode, row], waves[frame, mode, row]
                for column in range(size):
                    real, imag = 2 * column, 2 * column + 1
                    wave[real] = probe[real] * patch[real] - probe[imag] * patch[imag]
                    wave[imag] = probe[real] * patch[imag] + probe[imag] * patch[real]


@compiled_loop
def scaled_exit_waves(
    canvas: Floats, corners: Corners, probes: Floats, rows: Floats, columns: Floats, waves: Floats
) -> None:
    """Multiply the probe of each frame with its patch and with factors of rows and columns.

    Args:
        canvas: (H, 2 W).
        corners: int64 (b, 2), (row, column) of each patch's first pixel.
        probes: (b, modes, N, 2 N), over N.
        rows: (b, N), a factor of each row of each frame.
        columns: (b, N).
        waves: (b, modes, N, 2 N), is overwritten.
    """
    frames, modes, size, _ = probes.shape
    for frame in range(frames):
        top, left = corners[frame, 0], 2 * corners[frame, 1]
        across = columns[frame]
        for mode in range(modes):
            for row in range(size):
                patch = canvas[top + row, left : left + 2 * size]
                probe, wave = probes[frame, mode, row], waves[frame, mode, row]
                for column in range(size):
                    real, imag = 2 * column, 2 * column + 1
                    factor = rows[frame, row] * across[column]
                    a, b = factor * probe[real], factor * probe[imag]
                    wave[real] = a * patch[real] - b * patch[imag]
                    wave[imag] = a * patch[imag] + b * patch[real]


@compiled_loop
def shifted_probes(weights: Floats, images: Floats, first: int, probes: Floats) -> None:
    """Sum the images of shifted probes with the weights of each frame.

    Args:
        weights: (b, terms).
        images: (terms, k, N, 2 N), of the last k modes.
        first: modes without images, which stay as they are.
        probes: (b, first + k, N, 2 N), is overwritten from the mode `first` on.
    """
    terms, modes = images.shape[:2]
    flat = images.reshape(terms, modes, -1)
    # A piece of all images stays in the cache while all frames take their sums of it.
    for mode in range(modes):
        for begin in range(0, flat.shape[2], PIECE):
            end = min(begin + PIECE, flat.shape[2])
            for frame in range(len(weights)):
                summed = probes[frame, first + mode].reshape(-1)[begin:end]
                _weighted_piece(weights[frame], flat, mode, begin, summed)


@part_of_loops
def _weighted_piece(weights: Floats, images: Floats, mode: int, begin: int, summed: Floats) -> None:
    """Sum a piece of images (terms, k, 2 N N) with weights (terms,), four terms at a time.

    The sum is read and written less often that way.
    """
    width = len(summed)
    end, done = begin + width, len(weights) % 4
    for i in range(width):
        summed[i] = 0
    for term in range(done):
        weight, one = weights[term], images[term, mode, begin:end]
        for i in range(width):
            summed[i] += weight * one[i]
    for term in range(done, len(weights), 4):
        a, b, c, d = weights[term], weights[term + 1], weights[term + 2], weights[term + 3]
        one, two = images[term, mode, begin:end], images[term + 1, mode, begin:end]
        three, four = images[term + 2, mode, begin:end], images[term + 3, mode, begin:end]
        for i in range(width):
            summed[i] += a * one[i] + b * two[i] + c * three[i] + d * four[i]


@compiled_loop
def add_shift_sums(weights: Floats, images: Floats, first: int, sums: Floats) -> None:
    """Add the adjoint of `shifted_probes`.

    Args:
        weights: (b, terms).
        images: (b, first + k, N, 2 N), of the modes from `first` on.
        first: modes without images, which are left out.
        sums: (terms, k, N, 2 N), so far.
    """
    modes, single = sums.shape[1], len(weights) % 4
    flat = images.reshape(images.shape[0], images.shape[1], -1)
    for mode in range(modes):
        for begin in range(0, flat.shape[2], PIECE):
            # The pieces of all sums stay in the cache while a few frames are added to each.
            for frame in range(single):
                _add_frame(weights, flat, frame, first + mode, begin, sums, mode)
            for frame in range(single, len(weights), 4):
                _add_four_frames(weights, flat, frame, first + mode, begin, sums, mode)


@part_of_loops
def _add_frame(
    weights: Floats, images: Floats, frame: int, source: int, begin: int, sums: Floats, mode: int
) -> None:
    """Add a piece of the image (b, modes, 2 N N) of a frame and mode to the sum of each term."""
    end = min(begin + PIECE, images.shape[2])
    one = images[frame, source, begin:end]
    for term in range(len(sums)):
        summed, weight = sums[term, mode].reshape(-1)[begin:end], weights[frame, term]
        for i in range(len(one)):
            summed[i] += weight * one[i]


@part_of_loops
def _add_four_frames(
    weights: Floats, images: Floats, frame: int, source: int, begin: int, sums: Floats, mode: int
) -> None:
    """Add a piece of the images of four frames as `_add_frame` does of one."""
    end = min(begin + PIECE, images.shape[2])
    one, two = images[frame, source, begin:end], images[frame + 1, source, begin:end]
    three, four = images[frame + 2, source, begin:end], images[frame + 3, source, begin:end]
    for term in range(len(sums)):
        summed = sums[term, mode].reshape(-1)[begin:end]
        a, b = weights[frame, term], weights[frame + 1, term]
        c, d = weights[frame + 2, term], weights[frame + 3, term]
        for i in range(len(one)):
            summed[i] += a * one[i] + b * two[i] + c * three[i] + d * four[i]


@compiled_loop
def poisson_step(
    waves: Floats,
    amplitudes: Floats,
    flux: Floats,
    background: Floats,
    good: Floats,
    score: Floats,
) -> np.float64:
    """Scale waves at the detector by the factor of `PoissonNoise.misfit_and_factor` and the flux.

    Args:
        waves: (b, modes, N, 2 N), are multiplied by the factor of the noise model and the flux.
        amplitudes: (b, N, N), sqrt(counts).
        flux: (b,), relative photons.
        background: (N, N), counts.
        good: (N, N), 1 where a detector pixel is used, else 0.
        score: (3, N, N), sums of the score of a background so far; (0, N, N) where none is wanted.

    Returns:
        The misfit.
    """
    values = np.empty(good.size, np.float32)
    misfit = np.float64(0)
    for frame in range(len(waves)):
        measured = amplitudes[frame].reshape(-1)
        sum_expected(waves[frame], flux[frame], background.reshape(-1), values)
        if len(score):
            _add_score(values, measured, score)
        misfit += _poisson_factors(values, measured, good.reshape(-1), flux[frame])
        _scale(waves[frame], values)
    return misfit


@compiled_loop
def amplitude_step(
    waves: Floats,
    amplitudes: Floats,
    flux: Floats,
    background: Floats,
    good: Floats,
    score: Floats,
) -> np.float64:
    """Scale waves at the detector by the factor of `AmplitudeNoise.misfit_and_factor` and the flux.

    Args:
        waves: (b, modes, N, 2 N), are multiplied by the factor of the noise model and the flux.
        amplitudes: (b, N, N), sqrt(counts).
        flux: (b,), relative photons.
        background: (N, N), counts.
        good: (N, N), 1 where a detector pixel is used, else 0.
        score: (3, N, N), sums of the score of a background so far; (0, N, N) where none is wanted.

    Returns:
        The misfit.
    """
    values = np.empty(good.size, np.float32)
    misfit = np.float64(0)
    for frame in range(len(waves)):
        measured = amplitudes[frame].reshape(-1)
        sum_expected(waves[frame], flux[frame], background.reshape(-1), values)
        if len(score):
            _add_score(values, measured, score)
        misfit += _amplitude_factors(values, measured, good.reshape(-1), flux[frame])
        _scale(waves[frame], values)
    return misfit


@part_of_loops
def sum_expected(waves: Floats, flux: np.float32, background: Floats, counts: Floats) -> None:
    """Compute the expected counts (N N,) of the waves of a frame (modes, N, 2 N)."""
    _sum_abs2(waves, counts)
    for pixel in range(len(counts)):
        counts[pixel] = flux * counts[pixel] + background[pixel]


@part_of_loops
def _sum_abs2(waves: Floats, summed: Floats) -> None:
    """Compute the squared moduli (N N,) of the waves of a frame (modes, N, 2 N)."""
    for pixel in range(len(summed)):
        summed[pixel] = 0
    for mode in range(len(waves)):
        wave = waves[mode].reshape(-1)
        for pixel in range(len(summed)):
            real, imag = wave[2 * pixel], wave[2 * pixel + 1]
            summed[pixel] += real * real + imag * imag


@part_of_loops
def _poisson_factors(
    values: Floats, amplitudes: Floats, good: Floats, flux: np.float32
) -> np.float32:
    """Turn the expected counts of a frame into factors of its waves; return the misfit."""
    misfit = np.float32(0)
    for pixel in range(len(values)):
        expected, amplitude = values[pixel], amplitudes[pixel]
        counts = amplitude * amplitude
        difference = counts - expected
        floored = counts + _COUNT_FLOOR
        deviance = floored * _log(floored / (expected + _COUNT_FLOOR)) - difference
        misfit += good[pixel] * deviance
        values[pixel] = flux * good[pixel] * difference / (_TWO * (expected + _DIVISOR_FLOOR))
    return _HALF * misfit


@part_of_loops
def _amplitude_factors(
    values: Floats, amplitudes: Floats, good: Floats, flux: np.float32
) -> np.float32:
    """Turn the expected counts of a frame into factors of its waves; return the misfit."""
    photons = misfit = np.float32(0)
    for pixel in range(len(values)):
        photons += values[pixel]
    floor = _DARK_SHARE * photons + _TINY
    for pixel in range(len(values)):
        modulus = np.sqrt(values[pixel])
        difference = good[pixel] * (amplitudes[pixel] - modulus)
        misfit += difference * difference
        values[pixel] = flux * difference * modulus / (values[pixel] + floor)
    return misfit


@part_of_loops
def _scale(waves: Floats, factors: Floats) -> None:
    """Multiply the waves of a frame (modes, N, 2 N) by factors (N N,)."""
    for mode in range(len(waves)):
        wave = waves[mode].reshape(-1)
        for pixel in range(len(factors)):
            wave[2 * pixel] *= factors[pixel]
            wave[2 * pixel + 1] *= factors[pixel]


@part_of_loops
def _add_score(counts: Floats, amplitudes: Floats, score: Floats) -> None:
    """Add the score of a background at the expected counts of a frame to the sums (3, N, N)."""
    first, second, third = score[0].reshape(-1), score[1].reshape(-1), score[2].reshape(-1)
    for pixel in range(len(counts)):
        amplitude = amplitudes[pixel]
        # The floor of `sweeps.SCORE_FLOOR`: one count.
        information = _ONE / (counts[pixel] + _ONE)
        one = (amplitude * amplitude - counts[pixel]) * information
        first[pixel] += one
        second[pixel] += one * one
        third[pixel] += information


@compiled_loop
def photon_ratios(
    waves: Floats, amplitudes: Floats, background: Floats, good: Floats, ratios: Floats
) -> None:
    """Compute measured over predicted photons of each frame, background left out.

    Args:
        waves: (b, modes, N, 2 N), at the detector.
        amplitudes: (b, N, N), sqrt(counts).
        background: (N, N), counts.
        good: (N, N), 1 where a detector pixel is used, else 0.
        ratios: (b,), is overwritten.
    """
    values = np.empty(good.size, np.float32)
    light, used = background.reshape(-1), good.reshape(-1)
    for frame in range(len(waves)):
        roots = amplitudes[frame].reshape(-1)
        measured = predicted = np.float32(0)
        _sum_abs2(waves[frame], values)
        for pixel in range(len(values)):
            measured += used[pixel] * (roots[pixel] * roots[pixel] - light[pixel])
            predicted += used[pixel] * values[pixel]
        ratios[frame] = measured / (predicted + _TINY)


@compiled_loop
def add_object(direction: Floats, corners: Corners, probes: Floats, waves: Floats) -> None:
    """Add conj(probe) * wave of each frame and mode to the object's gradient image.

    Args:
        direction: (H, 2 W), so far.
        corners: int64 (b, 2).
        probes: (b, modes, N, 2 N).
        waves: (b, modes, N, 2 N), residual of the exit waves.
    """
    frames, modes, size, _ = probes.shape
    for frame in range(frames):
        top, left = corners[frame, 0], 2 * corners[frame, 1]
        for mode in range(modes):
            for row in range(size):
                patch = direction[top + row, left : left + 2 * size]
                probe, wave = probes[frame, mode, row], waves[frame, mode, row]
                for column in range(size):
                    real, imag = 2 * column, 2 * column + 1
                    patch[real] += probe[real] * wave[real] + probe[imag] * wave[imag]
                    patch[imag] += probe[real] * wave[imag] - probe[imag] * wave[real]


@compiled_loop
def add_dose(dose: Floats, corners: Corners, probes: Floats, flux: Floats) -> None:
    """Add |probe|^2 of each frame and mode, times its flux, to the dose.

    Args:
        dose: (H, W), so far.
        corners: int64 (b, 2).
        probes: (b, modes, N, 2 N).
        flux: (b,), relative photons.
    """
    frames, modes, size, _ = probes.shape
    for frame in range(frames):
        top, left = corners[frame, 0], corners[frame, 1]
        for mode in range(modes):
            for row in range(size):
                patch, probe = dose[top + row, left : left + size], probes[frame, mode, row]
                for column in range(size):
                    real, imag = probe[2 * column], probe[2 * column + 1]
                    patch[column] += flux[frame] * (real * real + imag * imag)


@compiled_loop
def probe_images(
    canvas: Floats, corners: Corners, flux: Floats, waves: Floats, power: Floats
) -> None:
    """Turn residuals of exit waves into gradient images of each frame's probe.

    Args:
        canvas: (H, 2 W), the object.
        corners: int64 (b, 2).
        flux: (b,), relative photons.
        waves: (b, modes, N, 2 N), are multiplied by conj(patch).
        power: (N, N), |patch|^2 times the flux, so far.
    """
    frames, modes, size, _ = waves.shape
    for frame in range(frames):
        top, left = corners[frame, 0], 2 * corners[frame, 1]
        for row in range(size):
            patch = canvas[top + row, left : left + 2 * size]
            for column in range(size):
                a, b = patch[2 * column], patch[2 * column + 1]
                power[row, column] += flux[frame] * (a * a + b * b)
            for mode in range(modes):
                wave = waves[frame, mode, row]
                for column in range(size):
                    a, b = patch[2 * column], patch[2 * column + 1]
                    real, imag = wave[2 * column], wave[2 * column + 1]
                    wave[2 * column] = a * real + b * imag
                    wave[2 * column + 1] = a * imag - b * real
