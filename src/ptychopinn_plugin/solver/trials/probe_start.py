"""A start for a probe that is refined: its modulus at the detector comes from the frames."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.nearest_frames import middle_frames
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.batched_scan import no_check
from ptychopinn_plugin.solver.estimators.estimator import Estimator
from ptychopinn_plugin.solver.estimators.probe_modes import hermite_modes
from ptychopinn_plugin.solver.masked_light import good_photons
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.trials.pupil import defocus_phase

# Share of the guess's largest Fourier modulus below which its phase is left to a centred wave.
PHASE_FLOOR = 1e-6
# Values of the frames, as float64, that are held at a time: 2 MiB, which fit the level-two cache.
CHUNK_VALUES = 2**18
TINY = 1e-30
# Defoci that are tried where there is no guess: how far light at the edge of the pupil is moved, in
# shares of the frame size, to either side.
DEFOCUS_SHARES = (1 / 64, 1 / 32, 1 / 16, 3 / 32, 1 / 8, 3 / 16, 1 / 4)
# A trial: enough to distinguish defoci, at a fraction of the work of a reconstruction.
TRIAL_PASSES, TRIAL_FRAMES, TRIAL_SUBSETS = 3, 121, 4

Image = npt.NDArray[np.float64]
Probe = npt.NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of the counts of each detector pixel over the frames, zero frequency at index 0.

    Attributes:
        mean: float64 (N, N).
        variance: float64 (N, N).
        third: float64 (N, N), the third central moment.
        fourth: float64 (N, N), the fourth central moment.
        frames: how many.
    """

    mean: Image
    variance: Image
    third: Image
    fourth: Image
    frames: int

    @classmethod
    def of(cls, scan: ScanData) -> Moments:
        """Return the moments of a scan's frames, 0 at bad pixels."""
        mean = np.zeros((scan.frame_size, scan.frame_size))
        for chunk in _chunks(scan):
            mean += chunk.sum(axis=0) / scan.frame_count
        sums = np.zeros((3, *mean.shape))
        for chunk in _chunks(scan):
            chunk -= mean
            square = chunk * chunk
            sums += [square.sum(axis=0), (square * chunk).sum(axis=0), (square**2).sum(axis=0)]
        second, third, fourth = (np.fft.ifftshift(one) for one in sums / scan.frame_count)
        return cls(np.fft.ifftshift(mean), second, third, fourth, scan.frame_count)

    def unscattered_modulus(self) -> Image:
        """Return the modulus of the part of the wave that is the same in all frames, (N, N).

        A pixel gets a steady wave F, the probe under the mean of the object, and a scattered wave
        of mean power s that differs from frame to frame. If that is circular and Gaussian, counts
        have mean I = F^2 + s and variance V = I + 2 F^2 s + s^2 (Goodman, Speckle Phenomena in
        Optics, 2007, section 3.2, and Poisson noise), so F^4 = I^2 - (V - I). The scattering,
        which blurs the mean frame, is out of it. What does not rise above its own standard error
        is shrunk.
        """
        mean, variance = self.mean, self.variance
        power = np.maximum(mean**2 - np.maximum(variance - mean, 0), 0)
        error = 4 * mean**2 * variance + self.fourth - variance**2 - 4 * mean * self.third
        power *= np.maximum(1 - error / self.frames / (power**2 + TINY), 0)
        return np.asarray(power**0.25)


def start_probe(scan: ScanData) -> Probe:
    """Return the start of a probe that is refined.

    Its modulus at the detector is that of the frames' unscattered wave, with the photons of the
    mean frame, see `good_photons`; phases and shares of the modes are those of the guess. Bad
    pixels keep the guess.

    Args:
        scan: frames and guess.

    Returns:
        complex64 (modes, N, N).
    """
    modulus = _scaled_modulus(scan)
    guess = _spectrum(scan.probe)
    guess[0] += PHASE_FLOOR * float(np.abs(guess).max()) * _centred_sign(scan.frame_size)
    size = np.sqrt(np.sum(np.abs(guess) ** 2, axis=0))
    bad = np.fft.ifftshift(scan.mask)
    factor = np.where(bad, 1, modulus / np.maximum(size, TINY))
    return _probe_of(guess * factor)


def focused_probe(scan: ScanData) -> Probe:
    """Return a probe with the same phase everywhere at the detector, complex64 (modes, N, N).

    Its modulus there is that of the frames' unscattered wave; the guess gives only the number of
    its modes.
    """
    return hermite_modes(_defocused(_scaled_modulus(scan), 0.0), scan.mode_count)


def with_photons_of_frames(scan: ScanData) -> Probe:
    """Return a scan's probe with the photons of its mean frame, complex64 (modes, N, N).

    Where most of its light is masked, with its own, see `good_photons`.
    """
    spectrum = np.fft.fftshift(_spectrum(scan.probe), axes=(-2, -1))
    expected = float(np.sum(np.abs(spectrum[:, ~scan.mask]) ** 2))
    photons = sum(float(chunk.sum()) for chunk in _chunks(scan)) / scan.frame_count
    photons = good_photons(scan, photons)
    return np.asarray(scan.probe * math.sqrt(photons / max(expected, TINY)), np.complex64)


@dataclass(eq=False)
class StartOfProbe(Estimator):
    """Says what the probe was started from; changes nothing.

    Attributes:
        sentence: for users.
    """

    sentence: str

    def remarks(self) -> tuple[str, ...]:
        """Return that sentence."""
        return (self.sentence,)


def with_probe_of_frames(
    ops: Ops, scan: ScanData, check: Callable[[], None] = no_check
) -> ScanData:
    """Return a scan without a probe with one that is estimated from its frames.

    Args:
        ops: the framework.
        scan: the scan; its probe is not looked at.
        check: called before every batch; raises to stop the work.
    """
    return known_probe(scan, probe_without_guess(ops, scan, check))


def known_probe(scan: ScanData, probe: Probe) -> ScanData:
    """Return a scan without a probe with one, complex64 (modes, N, N)."""
    metadata = dataclasses.replace(scan.metadata, probe_is_unknown=False)
    return dataclasses.replace(scan, probe=probe, metadata=metadata)


def probe_without_guess(ops: Ops, scan: ScanData, check: Callable[[], None]) -> Probe:
    """Return a probe from the frames alone: the defocus of fifteen that fits best.

    Args:
        ops: the framework.
        scan: its probe is not looked at.
        check: called before every batch; raises to stop the work.

    Returns:
        complex64 (1, N, N).
    """
    few = middle_frames(scan, TRIAL_FRAMES, square=True)
    modulus = _scaled_modulus(scan)
    radii = [0.0] + [s * share * scan.frame_size for share in DEFOCUS_SHARES for s in (1, -1)]
    probes = [_defocused(modulus, radius) for radius in radii]
    residuals = [_trial(ops, dataclasses.replace(few, probe=probe), check) for probe in probes]
    return probes[int(np.argmin(residuals))]


def _trial(ops: Ops, scan: ScanData, check: Callable[[], None]) -> float:
    """Return the residual that a short reconstruction ends at, infinite where it diverged."""
    problem = Problem.for_scan(ops, scan, TRIAL_SUBSETS, fixed_probe=False, check=check)
    solver = AcceleratedSolver(problem, InferenceConfig(update_probe='on'))
    try:
        return [solver.one_pass() for _ in range(TRIAL_PASSES)][-1]
    except ReconstructionError:
        return math.inf


def _defocused(modulus: Image, radius_px: float) -> Probe:
    """Return a centred probe of a modulus at the detector, spread by a defocus.

    Args:
        modulus: float64 (N, N), zero frequency at index 0.
        radius_px: how far the defocus moves light at the edge of the pupil.
    """
    phase = defocus_phase(modulus**2, radius_px)
    return _probe_of((modulus * _centred_sign(len(modulus)) * np.exp(1j * phase))[None])


def _scaled_modulus(scan: ScanData) -> Image:
    """Return the unscattered modulus with the photons to start from, 0 at bad pixels."""
    moments = Moments.of(scan)
    modulus = moments.unscattered_modulus()
    photons, power = float(moments.mean.sum()), float(np.sum(modulus**2))
    if power <= 0:  # Too few photons to separate the scattered wave.
        modulus, power = np.sqrt(moments.mean), photons
    return np.asarray(modulus * math.sqrt(good_photons(scan, photons) / max(power, TINY)))


def _chunks(scan: ScanData) -> Iterator[Image]:
    """Return the counts of some frames at a time, float64 (b, N, N), 0 at bad pixels."""
    together = max(1, CHUNK_VALUES // scan.frame_size**2)
    for first in range(0, scan.frame_count, together):
        chunk = scan.counts[first : first + together].astype(np.float64)
        chunk[:, scan.mask] = 0
        yield chunk


def _spectrum(probe: Probe) -> npt.NDArray[np.complex128]:
    return np.fft.fft2(probe.astype(np.complex128), norm='ortho')


def _probe_of(spectrum: npt.NDArray[np.complex128]) -> Probe:
    return np.asarray(np.fft.ifft2(spectrum, norm='ortho'), np.complex64)


def _centred_sign(size: int) -> Image:
    """Return the Fourier transform of a point at pixel (N//2, N//2) over its modulus, (N, N)."""
    k = np.arange(size)
    return np.where((k[:, None] + k) % 2, -1.0, 1.0)
