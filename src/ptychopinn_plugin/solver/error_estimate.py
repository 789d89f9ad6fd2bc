"""The errors of an object by photon noise, from two reconstructions of half the photons each.

The power of the error is estimated by spatial frequency. Where the halves agree, it is that of
their difference, halved twice: once for the difference of two, once for the photons of both. Where
they do not, the prior of the object (`object_prior`) has damped signal and noise alike, and what it
took from the signal is an error too: the signal's power there is extrapolated from the frequencies
that are resolved. Over the object the noise varies as one over the dose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ambiguities import aligned
from ptychopinn_plugin.physics.ring_correlation import (
    NYQUIST,
    RingCorrelation,
    Rings,
    hann_window,
    ring_correlation,
    windowed_spectrum,
)
from ptychopinn_plugin.scan.quality import Quality
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.half_scans import Halves, reconstruct_halves

# Correlation above which the difference of the halves is their noise, not what a prior left of it.
WELL_RESOLVED = 0.8
# Correlation below which the signal's power is extrapolated.
RESOLVED = 0.5
# Rings whose correlations are averaged, against the noise of a single ring.
SMOOTHED = 3
# Rings that determine how the signal falls off.
LEAST_FITTED = 3
# The standard deviation of a phase of which nothing is known.
UNKNOWN_PHASE = float(np.pi / np.sqrt(3))
TINY = 1e-30

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class NoiseTransfer:
    """How photon noise becomes an error of the object.

    The variance of a complex pixel is `noise` / dose + `lost`.

    Attributes:
        noise: of the object, times the photons of a pixel.
        lost: power of the signal that was damped.
        phase_share: share of `lost` in the phase, the rest in the amplitude.
    """

    noise: float
    lost: float
    phase_share: float


def estimate_quality(solver: AcceleratedSolver) -> Quality | None:
    """Estimate resolution and errors of a solver's object.

    Args:
        solver: after its passes.

    Returns:
        None where the scanned area is too small, and in other processes than the first one.

    Raises:
        Whatever `solver.problem.check` raises to stop the work.
    """
    ops, problem = solver.problem.ops, solver.problem
    whole = problem.partition.whole(solver.canvas_object)
    light = problem.partition.whole(problem.dose(solver.probe))
    if whole is None or light is None:
        return None
    image, dose = ops.numpy(whole), ops.numpy(light).astype(np.float64)
    halves = reconstruct_halves(solver, image)
    if halves is None:
        return None
    window = hann_window(halves.first.shape)
    second = aligned(halves.second, halves.first)
    correlation = ring_correlation(halves.first, second, window)
    transfer = noise_transfer(
        image[halves.area], dose[halves.area], halves.first - second, correlation
    )
    return _quality(halves, correlation, transfer, image, dose)


def noise_transfer(
    image: Complex,
    dose: Floats,
    difference: npt.NDArray[np.complex128],
    correlation: RingCorrelation,
) -> NoiseTransfer:
    """Estimate how noise becomes an error.

    Args:
        image: complex64 (h, w), the object of all photons on the scanned area.
        dose: float64 (h, w), photons an object pixel.
        difference: complex128 (h, w), of the objects of the two halves.
        correlation: of the two halves.
    """
    window, rings = hann_window(image.shape), Rings.for_shape(image.shape)
    counts = rings.components
    per_dose = float(np.sum(window**2 / np.maximum(dose, TINY)) / np.sum(window**2))
    smooth = _smoothed(correlation.correlation, counts)
    differing = rings.mean(np.abs(windowed_spectrum(difference, window)) ** 2) / 4
    well = _rings_above(smooth, WELL_RESOLVED)
    level = _weighted_median(differing[:well], counts[:well])
    power = rings.mean(np.abs(windowed_spectrum(image, window)) ** 2)
    resolved = _rings_above(smooth, RESOLVED)
    signal = _signal_power(power, level, resolved, rings)
    gain = np.minimum(np.sqrt(power / (signal + level)), 1)
    gain[:well] = 1
    noise = float(np.sum(counts * gain**2) / np.sum(counts))
    lost = float(np.sum(counts * (1 - gain) ** 2 * signal) / np.sum(counts))
    share = _phase_share(image, window, rings.frequency[resolved - 1])
    return NoiseTransfer(noise * level / per_dose, lost, share)


def _quality(
    halves: Halves,
    correlation: RingCorrelation,
    transfer: NoiseTransfer,
    image: Complex,
    dose: Floats,
) -> Quality:
    """Return what was estimated, on the whole canvas."""
    variance = transfer.noise / np.maximum(dose, TINY) / 2
    amplitude = np.sqrt(variance + transfer.lost * (1 - transfer.phase_share))
    sideways = np.sqrt(variance + transfer.lost * transfer.phase_share)
    phase = np.minimum(sideways / np.maximum(np.abs(image), TINY), UNKNOWN_PHASE)
    half_bit, one_bit = correlation.half_bit, correlation.one_bit
    return Quality(
        ring_frequency=correlation.frequency,
        ring_correlation=correlation.correlation,
        half_bit=half_bit,
        one_bit=one_bit,
        half_bit_limit=correlation.crossing(half_bit) or NYQUIST,
        one_bit_limit=correlation.crossing(one_bit) or NYQUIST,
        typical_phase_error=float(np.median(phase[halves.area])),
        held_out=halves.held_out.found / max(halves.held_out.noise, TINY),
        amplitude_error=amplitude.astype(np.float32),
        phase_error=phase.astype(np.float32),
        held_out_unexplained=halves.held_out.beyond_chance,
    )


def _smoothed(correlation: Floats, components: Floats) -> Floats:
    """Return the mean over neighbouring rings, by their number of components, (rings,)."""
    kernel = np.ones(SMOOTHED)
    weights = np.convolve(components, kernel, 'same')
    return np.asarray(np.convolve(correlation * components, kernel, 'same') / weights)


def _rings_above(correlation: Floats, threshold: float) -> int:
    """Return how many rings come before the first one below a threshold, at least one."""
    below = np.flatnonzero(correlation < threshold)
    return max(int(below[0]), 1) if below.size else len(correlation)


def _weighted_median(values: Floats, weights: Floats) -> float:
    """Return the value with half of the weight on either side.

    Not the mean: a slow variation of the phase, which probe and object trade, fills the innermost
    rings with far more than photon noise.
    """
    order = np.argsort(values)
    half = np.searchsorted(np.cumsum(weights[order]), np.sum(weights) / 2)
    return float(values[order[min(int(half), len(order) - 1)]])


def _signal_power(power: Floats, noise: float, resolved: int, rings: Rings) -> Floats:
    """Return the power of the true object, (rings,).

    Args:
        power: of the reconstructed object.
        noise: power of the noise before it is damped.
        resolved: number of rings that are resolved.
        rings: of the Fourier plane.
    """
    # The power that is left of signal and noise by the gain of the prior, signal / (both).
    signal = (power + np.sqrt(power**2 + 4 * power * noise)) / 2
    outer = slice(resolved // 2, resolved)
    if resolved == len(power) or outer.stop - outer.start < LEAST_FITTED:
        return np.asarray(signal)
    slope, start = np.polyfit(
        rings.frequency[outer],
        np.log(np.maximum(signal[outer], TINY)),
        1,
        w=np.sqrt(rings.components[outer]),
    )
    beyond = np.exp(start + min(slope, 0.0) * rings.frequency[resolved:])
    return np.concatenate([signal[:resolved], np.minimum(beyond, signal[:resolved].max())])


def _phase_share(image: Complex, window: Floats, limit: float) -> float:
    """Return the share of the phase in the finest structure that is resolved.

    Args:
        image: complex64 (h, w).
        window: float64 (h, w).
        limit: highest frequency that is resolved, cycles a pixel.
    """
    rows, columns = (np.fft.fftfreq(side) for side in image.shape)
    radius = np.hypot(rows[:, None], columns)
    spectrum = np.fft.fft2(image)
    coarse = np.fft.ifft2(np.where(radius < limit / 2, spectrum, 0))
    fine = np.fft.ifft2(np.where((radius >= limit / 2) & (radius <= limit), spectrum, 0))
    rotated = fine * np.conj(coarse) / np.maximum(np.abs(coarse), TINY)
    power = float(np.sum(window * np.abs(rotated) ** 2))
    return float(np.sum(window * rotated.imag**2)) / power if power > 0 else 0.5
