"""Misfits of a reconstruction to its frames, beside those that photon noise alone would give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptychopinn_plugin.physics.photon_noise import SQUARE_VARIANCE, Floats, root_error
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.sweeps import DeviceBatch, batch_expected

if TYPE_CHECKING:
    from ptychopinn_plugin.solver.accelerated import AcceleratedSolver

# Standard deviations of the photon noise that the frames have to differ by to determine an object.
LEAST_SIGNAL = 3.0
TINY = 1e-30


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
    def beyond_chance(self) -> float:
        """Return the unexplained share, not above 0 where noise gives it by chance."""
        share = self.unexplained
        return share if self.exceeds_noise else min(share, 0.0)


def amplitude_misfits(solver: AcceleratedSolver) -> Misfits:
    """Return the misfits of a solver's present state, of amplitudes whatever the noise model is."""
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
