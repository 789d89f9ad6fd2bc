"""Whether a probe is out of focus: short reconstructions with it propagated by some distances.

The probe is held in these trials, so that their misfit shows how wrong it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.config.constants import EV_METRE
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.batched_scan import no_check
from ptychopinn_plugin.solver.misfits import Misfits, amplitude_misfits
from ptychopinn_plugin.solver.overlap import frame_overlap
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.trials.orientation_trials import trial_frames
from ptychopinn_plugin.solver.trials.probe_start import start_probe, with_photons_of_frames
from ptychopinn_plugin.solver.trials.pupil import defocus_phase, pupil

# Distances that are tried, by how far they move light at the edge of the pupil, in shares of the
# frame size, to either side.
TRIED_SHARES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)
# How often the intervals on both sides of the best distance are halved.
HALVINGS = 4
# Enough to distinguish distances that differ by half a pixel at the edge of the pupil.
PASSES, SUBSETS = 8, 4
# Passes after which the best few of the first distances are kept.
EARLY_PASSES, KEPT = 3, 3
# Misfit after these passes, relative to that of another probe, above which no distance is kept.
BEHIND = 1.1
# A remark is made where propagation takes this share of what photon noise leaves unexplained, and
# more than noise does by chance.
CLEAR_SHARE, CLEAR_DEVIATIONS = 0.1, 10.0
TINY = 1e-30

Floats = npt.NDArray[np.float64]
Probe = npt.NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class Focus:
    """The distance of propagation at which a probe fits best.

    Attributes:
        radius_px: how far it moves light at the edge of the pupil; 0 for the probe as it is.
        edge: radius of the pupil, cycles a pixel.
        probe: complex64 (modes, N, N), propagated.
        misfits: of a short reconstruction with it.
        early: misfit of its first `EARLY_PASSES`.
    """

    radius_px: float
    edge: float
    probe: Probe
    misfits: Misfits
    early: float


def best_focus(
    few: ScanData,
    check: Callable[[], None],
    halvings: int = HALVINGS,
    least_overlap: float = 0.0,
    *,
    ops: Ops | None = None,
    rival: float = math.inf,
) -> Focus:
    """Try a scan's probe at distances to either side, closer around the best one.

    Args:
        few: some dozens of frames.
        check: called before every batch; raises to stop the work.
        halvings: of the intervals around the best distance.
        least_overlap: distances at which the frames overlap less are not tried, but for the probe
            as it is where they do at all of them, see `frame_overlap`.
        ops: the framework; None for NumPy.
        rival: `Focus.early` of another probe with the same frames; where all distances stay behind
            it, the best of them is returned after these few passes.
    """

    def overlaps(share: float) -> bool:
        if not least_overlap:
            return True
        probe = propagated(few.probe, share * few.frame_size) if share else few.probe
        return frame_overlap(dataclasses.replace(few, probe=probe)) >= least_overlap

    shares = (0.0, *TRIED_SHARES, *(-share for share in TRIED_SHARES))
    tried = sorted(share for share in shares if overlaps(share)) or [0.0]
    # Successive halving (Jamieson and Talwalkar, AISTATS 2016, doi:10.48550/arXiv.1502.07943).
    trials = {share: _Trial.of(few, share * few.frame_size, check, ops) for share in tried}
    early = {share: trial.run(EARLY_PASSES) for share, trial in trials.items()}
    if min(early.values()) > BEHIND * rival:
        return trials[min(early, key=lambda share: early[share])].focus(EARLY_PASSES)
    kept = sorted(early, key=lambda share: early[share])[:KEPT]
    found = {share: trials[share].focus() for share in kept}
    del trials

    def misfit(share: float) -> float:
        return found[share].misfits.found

    for _ in range(halvings):
        best = min(found, key=misfit)
        place = tried.index(best)
        for neighbour in (*tried[max(place - 1, 0) : place], *tried[place + 1 : place + 2]):
            between = (best + neighbour) / 2
            found[between] = _Trial.of(few, between * few.frame_size, check, ops).focus()
        tried = sorted({*tried, *found})
    return found[min(found, key=misfit)]


def short_fit(few: ScanData, check: Callable[[], None], ops: Ops | None = None) -> Misfits:
    """Return the misfits of a short reconstruction with the probe held.

    Args:
        few: some dozens of frames.
        check: called before every batch; raises to stop the work.
        ops: the framework; None for NumPy.
    """
    return _Trial.of(few, 0.0, check, ops).focus().misfits


@dataclass(eq=False)
class _Trial:
    """A short reconstruction with a probe that is held, as far as it has come.

    Attributes:
        solver: of it.
        radius_px: see `Focus`.
        edge: see `Focus`.
        diverged: whether its numbers are not finite.
        early: see `Focus`.
    """

    solver: AcceleratedSolver
    radius_px: float
    edge: float
    diverged: bool = False
    early: float = math.inf

    @classmethod
    def of(
        cls, few: ScanData, radius_px: float, check: Callable[[], None], ops: Ops | None
    ) -> _Trial:
        """Return a trial of a scan's probe propagated, before its first pass."""
        _, edge = pupil(_power(np.fft.fft2(few.probe.astype(np.complex128))))
        probe = propagated(few.probe, radius_px) if radius_px else few.probe
        few = dataclasses.replace(few, probe=probe)
        # On a GPU, so few frames take longer to start than to compute.
        ops = ops if isinstance(ops, ProcessorOps) else NumpyOps()
        problem = Problem.for_scan(ops, few, SUBSETS, fixed_probe=True, check=check)
        return cls(AcceleratedSolver(problem, InferenceConfig(update_probe='off')), radius_px, edge)

    def run(self, passes: int) -> float:
        """Reconstruct until so many passes are done; return the misfit of the last one."""
        try:
            while self.solver.passes < passes and not self.diverged:
                self.solver.one_pass()
        except ReconstructionError:
            self.diverged = True
        return math.inf if self.diverged else self.solver.last_misfit

    def focus(self, passes: int = PASSES) -> Focus:
        """Reconstruct until so many passes are done; return how the probe fits."""
        if self.solver.passes <= EARLY_PASSES:
            self.early = self.run(EARLY_PASSES)
        self.run(passes)
        misfits = amplitude_misfits(self.solver)
        if self.diverged:
            misfits = dataclasses.replace(misfits, found=math.inf)
        probe = self.solver.problem.scan.probe
        return Focus(self.radius_px, self.edge, probe, misfits, self.early)


def propagated(probe: Probe, radius_px: float) -> Probe:
    """Return a probe propagated in the paraxial approximation, its light staying in place.

    Args:
        probe: complex64 (modes, N, N).
        radius_px: how far light at the edge of the pupil moves.
    """
    spectra = np.fft.fft2(probe.astype(np.complex128))
    phase = np.exp(1j * defocus_phase(_power(spectra), radius_px))
    return np.asarray(np.fft.ifft2(spectra * phase), np.complex64)


def focus_hint(scan: ScanData, check: Callable[[], None] = no_check) -> tuple[str, ...]:
    """Return a sentence where the given probe fits clearly better propagated, else nothing.

    Nothing where photon energy or pixel size are not known.

    Args:
        scan: in the orientation that it will be reconstructed in.
        check: called before every batch; raises to stop the work.
    """
    if scan.metadata.pixel_size_m is None or scan.metadata.photon_energy_ev is None:
        return ()
    few = trial_frames(scan)
    starts = [
        dataclasses.replace(few, probe=probe)
        for probe in (start_probe(scan), with_photons_of_frames(scan))
    ]
    fits = [short_fit(start, check) for start in starts]
    nearer = 0 if fits[0].found <= fits[1].found else 1
    given, focus = fits[nearer], best_focus(starts[nearer], check)
    gain = given.found - focus.misfits.found
    if gain < max(CLEAR_SHARE * (given.found - given.noise), CLEAR_DEVIATIONS * given.deviation):
        return ()
    return (
        f'looks out of focus: {propagation(scan, focus)}, a short reconstruction leaves '
        f'{focus.misfits.unexplained:.1%} of the differences between the frames, with the probe '
        f'as it is {given.unexplained:.1%}; update_probe = on finds this too',
    )


def propagation(scan: ScanData, focus: Focus) -> str:
    """Return how far a probe was propagated, in micrometres where the instrument is known.

    Positive along the beam, for waves exp(i k z) and frames that are the Fourier transform
    exp(-2 pi i f x) of the exit wave, so that the phase is exp(-i pi wavelength z f^2).

    Args:
        scan: energy and pixel size.
        focus: of its probe.
    """
    size, energy = scan.metadata.pixel_size_m, scan.metadata.photon_energy_ev
    if size is None or energy is None:
        return f'with light at the edge of the pupil moved by {focus.radius_px:+.1f} px'
    distance_m = -focus.radius_px * size[0] * size[1] * energy / (EV_METRE * focus.edge)
    return f'with the probe propagated by {distance_m * 1e6:+.3g} um'


def _power(spectra: npt.NDArray[np.complex128]) -> Floats:
    """Return the power of all modes from their Fourier transforms, float64 (N, N)."""
    return np.asarray(np.sum(np.abs(spectra) ** 2, axis=0))
