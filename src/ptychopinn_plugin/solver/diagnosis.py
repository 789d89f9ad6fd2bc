"""Whether a reconstruction explains its frames: figures, a quality of the fit, and advice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ptychopinn_plugin.solver.divergence import has_runaway_probe, is_collapsed
from ptychopinn_plugin.solver.misfits import Misfits, amplitude_misfits

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
# Typical error of the phase by photon noise above which an object is said to be noisy, radians: of
# 100 frames of 1e3 photons, strong phase objects had 0.12 to 0.14 and were wrong by 0.24; of 441
# frames, 0.07 to 0.08, wrong by 0.10 to 0.11.
NOISY_PHASE = 0.1


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
    if is_collapsed(solver, misfits):
        return Diagnosis(
            'failed',
            share,
            'the object is dark or flat although the frames differ: look at positions and axes '
            'of the scan with `ptychopinn check`',
        )
    if fit != 'failed' and has_runaway_probe(solver):
        return Diagnosis(
            'poor',
            share,
            'the probe spread to the edges of its frame: keep it fixed '
            '(update_probe = off), or take smaller steps (probe_step = 0.3)',
        )
    return Diagnosis(fit, share, _advice(fit, misfits))


def _fit(misfits: Misfits) -> Fit:
    """Return how the frames are fitted, from the misfits alone."""
    share = misfits.unexplained
    if share > FAILED:
        return 'failed'
    poor = (share > POOR and misfits.exceeds_noise) or _exceeds_model_error(misfits)
    return 'poor' if poor else 'good'


def _exceeds_model_error(misfits: Misfits) -> bool:
    """Return whether the misfit is large, relative to the amplitudes and to photon noise."""
    large = misfits.found > NOISE_RATIO * misfits.noise
    return large and misfits.model_error > MODEL_ERROR


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
        'held out, so that noise was fitted: give a better probe with '
        'load_scan(probe=...), or record more photons or frames'
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


def _advice(fit: Fit, misfits: Misfits) -> str:
    """Return the sentence for a fit that the misfits alone give."""
    share = misfits.unexplained
    left = f'{max(share, 0):.0%} of the differences between the frames'
    if fit == 'good':
        return f'the object explains the frames ({left} left, photon noise aside)'
    if fit == 'poor':
        return _advice_of_poor(misfits, left)
    found = f'{left} are left unexplained, hardly better than an empty object'
    if share >= 1:
        found = 'the frames are explained worse than by an empty object'
    return (
        f'{found}: look at the scan with `ptychopinn check`, and give a better probe with '
        'load_scan(probe=...) or refine it (update_probe = on)'
    )


def _advice_of_poor(misfits: Misfits, left: str) -> str:
    """Return the sentence for a poor fit.

    Args:
        misfits: of the reconstruction.
        left: the share that is left unexplained, in words.
    """
    share, large = misfits.unexplained, _exceeds_model_error(misfits)
    found = f'{left} are left unexplained'
    if share <= POOR:
        found += (
            f', {misfits.model_error:.0%} of the amplitudes of the frames (misfit '
            f'{misfits.found / misfits.noise:.1f} times that of photon noise)'
        )
    found += (
        ': something beside object and probe differs from the model, such as positions, flux, '
        'background or further probe modes; refine them (auto = true)'
    )
    if large:
        found += ', or do more iterations'
    if share < LARGE_SHARE and not large:
        return found
    return (
        f'{found}, or where they are refined already, look with `ptychopinn check` whether '
        'frames, order and axes of the positions, the pixel size or the mask are wrong'
    )
