"""Whether a reconstruction explains its frames: figures, a quality of the fit, and advice."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.sweeps import DeviceBatch, batch_expected

if TYPE_CHECKING:
    from ptychopinn_plugin.solver.accelerated import AcceleratedSolver

Fit = Literal['good', 'poor', 'failed', 'unknown']

# Unexplained shares, set by simulated scans of 1e3 to 1e6 photons a frame, of weak and strong
# objects of all kinds: right reconstructions stayed below 0.13, objects with twice to five times
# the error that their photons allow came to 0.15 to 0.4, failures lay above 0.2, most above 0.6.
POOR, FAILED = 0.15, 0.7
# Of the amplitudes of the frames, and the misfit relative to that of photon noise: strong contrast
# of the frames hides errors from the share above. Right reconstructions stayed below 0.02 and 1.1,
# a measured star below 0.04 and 1.2; 0.045 and more with 1.3 or more came with errors of 0.03 to
# 0.4, of empty frames, saturated or hot pixels, a few positions far off, or a probe that the passes
# did not find.
MODEL_ERROR, NOISE_RATIO = 0.045, 1.25
# From here on the scan itself may be wrong: a bad row gave 0.32, positions twice as far apart 0.34,
# a second sample 0.56, positions in another order or mirrored 0.60 to 0.67, all being refined.
LARGE_SHARE = 0.3
# Standard deviations of the noise that the frames have to differ by to tell anything.
LEAST_SIGNAL = 3.0
# Variance of the squared error of the root of a Poisson count: 2 (1/4)^2.
SQUARE_VARIANCE = 1 / 8
# Variance of the object over its mean square, relative to what the frames differ by relative to
# their photons: a thin object has a ratio of about one.
FLAT_RATIO = 0.05
# An object that is dark (below a tenth of its rms modulus) nearly everywhere light falls.
DARK_MODULUS, DARK_SHARE = 0.1, 0.9
# Share of the probe's power in the outermost sixteenths of its frame, and its growth since the
# start: power spread evenly has 0.23 there.
EDGE, EDGE_SHARE, EDGE_GROWTH = 1 / 16, 0.1, 2.0
# Typical error of the phase by photon noise above which an object is said to be noisy, radians: of
# 100 frames of 1e3 photons, strong phase objects had 0.12 to 0.14 and were wrong by 0.24; of 441
# frames, 0.07 to 0.08, wrong by 0.10 to 0.11.
NOISY_PHASE = 0.1
# Expected counts above which the error of the root is that of many counts, 1/4.
MANY_COUNTS = 60.0
# Intervals of the table of that error, evenly spaced in the root of the expected count: between two
# of its points it is straight to 1e-5.
INTERVALS = 2048
TINY = 1e-30

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Diagnosis:
    """How well a reconstruction fits its frames.

    Attributes:
        fit: in a word.
        unexplained: share of the differences between the frames, beyond photon noise, that the
            reconstruction leaves: 0 down to the noise, 1 no better than an empty object. A little
            below 0 where noise was fitted; nan where the frames do not differ.
        advice: a sentence, what was found and what to try.
    """

    fit: Fit
    unexplained: float
    advice: str


@dataclass(frozen=True)
class Misfits:
    """Sums of squared differences of amplitudes, sqrt(counts), over good pixels of all frames.

    Attributes:
        found: of the reconstruction.
        noise: expected from photon noise alone, if the reconstruction is right.
        empty: of an empty object under the best probe for it, whose frames are all alike.
        alike: expected from photon noise alone, if the frames are all alike.
        photons: of all frames.
        pixels: good pixels of all frames.
    """

    found: float
    noise: float
    empty: float
    alike: float
    photons: float
    pixels: int

    @property
    def deviation(self) -> float:
        """Return the standard deviation that photon noise gives a misfit."""
        return math.sqrt(SQUARE_VARIANCE * self.pixels)

    @property
    def differs(self) -> bool:
        """Return whether the frames differ by more than photon noise."""
        return self.empty - self.alike > LEAST_SIGNAL * self.deviation

    @property
    def exceeds_noise(self) -> bool:
        """Return whether the reconstruction leaves more than photon noise does by chance."""
        return self.found - self.noise > LEAST_SIGNAL * self.deviation

    @property
    def unexplained(self) -> float:
        """Return (found - noise) / (empty - noise), nan where the frames do not differ."""
        signal = self.empty - self.noise
        return (self.found - self.noise) / signal if self.differs and signal > 0 else math.nan

    @property
    def model_error(self) -> float:
        """Return what is left beyond photon noise, relative to the amplitudes (rms)."""
        return math.sqrt(max(self.found - self.noise, 0) / max(self.photons, TINY))

    @property
    def is_beyond_noise(self) -> bool:
        """Return whether the model lacks much, in amplitudes as well as relative to the noise."""
        return self.model_error > MODEL_ERROR and self.found > NOISE_RATIO * self.noise

    @property
    def beyond_chance(self) -> float:
        """Return the unexplained share, not above 0 where noise gives it by chance."""
        share = self.unexplained
        return share if self.exceeds_noise else min(share, 0.0)


def diagnose(solver: AcceleratedSolver) -> Diagnosis:
    """Diagnose a solver's present state; costs a fifth to a third of a pass."""
    misfits = amplitude_misfits(solver)
    share = misfits.unexplained
    if math.isnan(share):
        return Diagnosis(
            'unknown',
            share,
            'the frames differ by no more than photon noise, so they do not determine the object: '
            'record more photons a frame',
        )
    fit = _fit(misfits)
    if _is_collapsed(solver, misfits):
        return Diagnosis(
            'failed',
            share,
            'the object is dark or flat although the frames differ: look at positions and axes '
            'of the scan with `ptychopinn check`',
        )
    if fit != 'failed' and _has_runaway_probe(solver):
        return Diagnosis(
            'poor',
            share,
            'the probe spread to the edges of its frame: keep it fixed, or lower probe_step',
        )
    return Diagnosis(fit, share, _advice(fit, misfits))


def _fit(misfits: Misfits) -> Fit:
    """Return how the frames are fitted, from the misfits alone."""
    share = misfits.unexplained
    if share > FAILED:
        return 'failed'
    poor = (share > POOR and misfits.exceeds_noise) or misfits.is_beyond_noise
    return 'poor' if poor else 'good'


def held_out_advice(share: float) -> str:
    """Return what is wrong with an object that fits its own photons only, '' where nothing is.

    Few photons let a wrong object fit their noise; it does not fit that of others. Of 100 frames of
    1e3 photons, right reconstructions left less than 0.01 and wrong ones 0.27 or more.

    Args:
        share: unexplained share of photons that were held out.
    """
    if not share > POOR:
        return ''
    return (
        f'{share:.0%} of the differences between the frames are left unexplained where photons are '
        'held out, so that noise was fitted: give a better probe, or record more photons or frames'
    )


def photon_advice(phase_error: float) -> str:
    """Return that photons are too few for the object, '' where they are enough.

    Args:
        phase_error: typical error of the phase by photon noise, radians.
    """
    if not phase_error > NOISY_PHASE:
        return ''
    return (
        f'photon noise leaves phase errors of {phase_error:.2g} rad in the object, so that only '
        'coarse structure is right: record more photons or frames'
    )


def amplitude_misfits(solver: AcceleratedSolver) -> Misfits:
    """Return the misfits that the unexplained share is made of, whatever the noise model."""
    problem, ops, now = solver.problem, solver.problem.ops, solver.state.now
    size, frames = problem.scan.frame_size, problem.scan.frame_count

    def add(sums: Floats, _: FrameBatch, placed: DeviceBatch) -> Floats:
        measured = ops.numpy(placed.amplitudes)
        expected = ops.numpy(ops.compiled(batch_expected)(now, placed, problem.good))
        sums[0] += np.sum((np.sqrt(expected) - measured) ** 2, axis=0, dtype=np.float64)
        sums[1] += root_error(expected).sum(axis=0)
        sums[2] += np.sum(measured * measured, axis=0, dtype=np.float64)
        sums[3] += measured.sum(axis=0, dtype=np.float64)
        return sums

    parts = problem.partial_sums(problem.batches(), now, lambda: np.zeros((4, size, size)), add)
    found, noise, counts, amplitudes = problem.partition.total_values(sum(parts[1:], parts[0]))
    good = np.fft.ifftshift(~problem.scan.mask)
    mean = counts / frames
    return Misfits(
        found=float(found[good].sum()),
        noise=float(noise[good].sum()),
        empty=2 * float(np.sum((counts - np.sqrt(mean) * amplitudes)[good])),
        alike=frames * float(root_error(mean)[good].sum()),
        photons=float(counts[good].sum()),
        pixels=frames * int(good.sum()),
    )


def root_error(mean: npt.NDArray[np.floating]) -> Floats:
    """Return E (sqrt(count) - sqrt(mean))^2 of Poisson counts, of any shape.

    By interpolation, to 1e-5: 2 mean near 0, up to 0.42 near 0.7, towards 1/4.
    """
    errors, slopes = _root_errors()
    # An even table needs no search: `numpy.interp` takes three times as long. What is not a number,
    # of a reconstruction that diverged, has a place in no table.
    place = np.sqrt(np.fmin(mean, MANY_COUNTS)) * (INTERVALS / math.sqrt(MANY_COUNTS))
    before = place.astype(np.int32)
    place -= before
    return np.asarray(errors[before] + slopes[before] * place, np.float64)


@functools.cache
def _root_errors() -> tuple[Floats, Floats]:
    """Return the error of the root at each point of the table, and what is added to the next.

    float64 (INTERVALS + 1,) each; nothing is added after the last point.
    """
    points = np.linspace(0, math.sqrt(MANY_COUNTS), INTERVALS + 1)
    count = np.arange(200)
    factorials = np.array([math.lgamma(n + 1) for n in count])
    means = points**2
    logs = count * np.log(np.maximum(means, TINY))[:, None] - factorials - means[:, None]
    errors = np.sum(np.exp(logs) * (np.sqrt(count) - points[:, None]) ** 2, axis=1)
    return errors, np.append(np.diff(errors), 0)


def _is_collapsed(solver: AcceleratedSolver, misfits: Misfits) -> bool:
    """Return whether the object is dark nearly everywhere, or flat where the frames differ."""
    ops, problem = solver.problem.ops, solver.problem
    image = problem.partition.whole(solver.canvas_object)
    dose = problem.partition.whole(problem.dose(solver.probe))
    return problem.partition.on_first(
        lambda: _is_dark_or_flat(
            ops.numpy(image).astype(np.complex128), ops.numpy(dose).astype(np.float64), misfits
        )
    )


def _is_dark_or_flat(image: npt.NDArray[np.complex128], dose: Floats, misfits: Misfits) -> bool:
    """Return the same of an object and its dose, both (H, W)."""
    weight = dose / max(float(dose.sum()), TINY)
    square = float(np.sum(weight * np.abs(image) ** 2))
    dark = float(np.sum(weight[np.abs(image) < DARK_MODULUS * math.sqrt(square)]))
    contrast = 1 - abs(complex(np.sum(weight * image))) ** 2 / max(square, TINY)
    differing = (misfits.empty - misfits.noise) / max(misfits.photons, TINY)
    return dark > DARK_SHARE or contrast < FLAT_RATIO * differing


def _has_runaway_probe(solver: AcceleratedSolver) -> bool:
    """Return whether the probe's power went to the edges of its frame since the start."""
    problem = solver.problem
    start = edge_share(problem.scan.probe)
    now = edge_share(problem.ops.numpy(solver.probe))
    return now > max(EDGE_SHARE, EDGE_GROWTH * start)


def edge_share(probe: npt.NDArray[np.complex64]) -> float:
    """Return the share of a probe's power in the outermost pixels of its frame.

    Args:
        probe: complex64 (modes, N, N).
    """
    power = np.asarray(np.sum(np.abs(probe) ** 2, axis=0, dtype=np.float64))
    width = max(1, round(EDGE * len(power)))
    inner = float(power[width:-width, width:-width].sum())
    return 1 - inner / max(float(power.sum()), TINY)


def _advice(fit: Fit, misfits: Misfits) -> str:
    """Return the sentence for a fit that the misfits alone give."""
    share = misfits.unexplained
    left = f'{max(share, 0):.0%} of the differences between the frames'
    if fit == 'good':
        return f'the object explains the frames ({left} left, photon noise aside)'
    if fit == 'poor':
        found = f'{left} are left unexplained'
        if share <= POOR:
            found += (
                f', {misfits.model_error:.0%} of the amplitudes of the frames (misfit '
                f'{misfits.found / misfits.noise:.1f} times that of photon noise)'
            )
        found += (
            ': something beside object and probe differs from the model, such as positions, flux, '
            'background or further probe modes; refine them'
        )
        if misfits.is_beyond_noise:
            found += ', or do more iterations'
        if share < LARGE_SHARE and not misfits.is_beyond_noise:
            return found
        return (
            f'{found}, or where they are refined already, look with `ptychopinn check` whether '
            'frames, order and axes of the positions, the pixel size or the mask are wrong'
        )
    found = f'{left} are left unexplained, hardly better than an empty object'
    if share >= 1:
        found = 'the frames are explained worse than by an empty object'
    return (
        f'{found}: look at the scan with `ptychopinn check`, and give a better probe or refine it'
    )
