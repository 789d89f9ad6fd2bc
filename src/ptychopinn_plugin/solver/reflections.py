"""Relaxed averaged alternating reflections of the exit waves of all frames.

Two sets of exit waves are known: those with the measured modulus at the detector, and those that
are one object times the probe of each frame. Steps along a gradient stay where the misfit has a
minimum that is not the least, and where frames overlap little there are many. Reflections go on:
with R = 2 P - 1 of both projections P, the waves become
beta/2 (R_overlap R_modulus + 1) psi + (1 - beta) P_modulus psi
(Luke, Inverse Problems 21, 37, 2005, doi:10.1088/0266-5611/21/1/004; with beta = 1 the difference
map, for ptychography Thibault et al., Ultramicroscopy 109, 338, 2009,
doi:10.1016/j.ultramic.2008.12.011; Marchesini et al., J. Appl. Cryst. 49, 1245, 2016,
doi:10.1107/S1600576716008074). With a beta near 1 they search; the smaller it is, the less noise
moves them, so that it falls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ptychopinn_plugin.physics.forward import expected_counts
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.projection import object_direction
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.estimators.local_prior import LocalPrior
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.sweeps import DeviceBatch, frame_probes
from ptychopinn_plugin.solver.unknowns import Unknowns

# Relaxation, and share of the iterations with it. At 1e6 photons a frame and steps of 26 px (probe
# of 26 px) the waves came nearer to the object with 0.97 than with 0.9, in 40 to 80 iterations; at
# 1e4 photons noise moves them away from it again, which 0.9 and less undo.
SCHEDULE = ((0.97, 3 / 7), (0.9, 2 / 7), (0.8, 1 / 7), (0.6, 1 / 7))
# The object's prior is applied from this share of the iterations on: with one from the 20th on,
# bright scans at 26 px ended with an error two fifths larger.
PRIOR_FROM = 3 / 7
# Iterations between two estimates of the prior.
PRIOR_EVERY = 10
# Share of the largest dose with which a pixel keeps its value of the iteration before. Pulled to an
# empty object instead, bright scans at 22 px ended with an error a seventh larger.
KEPT_DOSE = 1e-3
# Share of a frame's photons, a pixel, below which a modulus is not scaled to the measured one.
DARK_SHARE = 1e-14


def relaxations(iterations: int) -> Iterator[float]:
    """Return beta of each iteration, see `SCHEDULE`."""
    done, ends = 0, np.cumsum([share for _, share in SCHEDULE])
    for (beta, _), end in zip(SCHEDULE, ends, strict=True):
        until = round(iterations * float(end))
        yield from [beta] * (until - done)
        done = until


def measured_waves(
    ops: Ops, waves: Array, amplitudes: Array, norm: Array, good: Array | None
) -> Array:
    """Return the exit waves nearest to given ones that have the measured modulus at the detector.

    Incoherent modes are scaled together. At bad pixels they stay as they are.

    Args:
        ops: the framework.
        waves: complex64 (b, modes, N, N), exit waves over N.
        amplitudes: float32 (b, N, N), sqrt(counts), zero frequency at index 0.
        norm: float32 scalar, 1 / N^2.
        good: float32 (N, N), 1 where a detector pixel is used; None where all are.
    """
    spectra = ops.fft2_unscaled(waves)
    counts = expected_counts(ops, spectra)
    floor = DARK_SHARE * ops.sum(counts, (1, 2))[:, None, None] + 1e-30
    factor = amplitudes / ops.sqrt(counts + floor)
    if good is not None:
        factor = 1 + good * (factor - 1)
    return ops.ifft2_unscaled(ops.scale(spectra, (factor * norm)[:, None]))


def reflected_patches(ops: Ops, waves: Array, measured: Array, probes: Array) -> Array:
    """Return conj(probe) times the reflected exit waves, summed over modes, complex64 (b, N, N).

    Args:
        ops: the framework.
        waves: complex64 (b, modes, N, N), exit waves.
        measured: those with the measured modulus.
        probes: complex64 (b, modes, N, N).
    """
    return object_direction(ops, probes, measured + measured - waves)


def relaxed_waves(
    ops: Ops,
    waves: Array,
    measured: Array,
    canvas_object: Array,
    probes: Array,
    corners: Array,
    beta: Array,
) -> Array:
    """Return the exit waves after an iteration, complex64 (b, modes, N, N).

    As R R psi = 2 P_overlap(2 P_modulus psi - psi) - 2 P_modulus psi + psi, they are
    measured + beta (psi + P_overlap(...) - 2 measured).

    Args:
        ops: the framework.
        waves: psi, complex64 (b, modes, N, N).
        measured: P_modulus psi.
        canvas_object: complex64 (H, W), of the reflected waves.
        probes: complex64 (b, modes, N, N).
        corners: int64 (b, 2), of the patches on the canvas.
        beta: float32 scalar.
    """
    consistent = probes * ops.cut(canvas_object, corners, probes.shape[-1])[:, None]
    return measured + ops.scale(waves + consistent - measured - measured, beta)


def overlap_object(ops: Ops, patches: Array, dose: Array, before: Array, floor: Array) -> Array:
    """Return the object that exit waves have in common, complex64 (H, W).

    The least squares solution; where hardly any light falls, near the object before.

    Args:
        ops: the framework.
        patches: complex64 (H, W), conj(probe) times the exit waves, overlap-added.
        dose: float32 (H, W), summed |probe|^2.
        before: complex64 (H, W).
        floor: float32 scalar, the dose with which a pixel keeps its value before.
    """
    return ops.scale(patches + ops.scale(before, floor), 1 / (dose + floor))


@dataclass(eq=False)
class Reflections:
    """The exit waves of all frames of a scan, in one process, with a probe that is held.

    Attributes:
        problem: the scan, prepared for a fixed probe; in one subset.
        with_prior: whether the object's prior is applied, see `PRIOR_FROM`.
        canvas_object: complex64 (H, W), empty at first.
    """

    problem: Problem
    with_prior: bool
    canvas_object: Array = field(init=False)
    _unknowns: Unknowns = field(init=False)
    _dose: Array = field(init=False)
    _floor: Array = field(init=False)
    _waves: dict[FrameBatch, Array] = field(default_factory=dict)
    _measured: dict[FrameBatch, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start at the waves of an empty object."""
        problem, ops = self.problem, self.problem.ops
        self.canvas_object = ops.array(np.ones(problem.canvas.shape, np.complex64))
        self._unknowns = Unknowns(self.canvas_object, ops.array(problem.scan.probe))
        # Probes are over N, and so are waves and dose.
        norm = problem.scan.frame_size**-2.0
        self._dose = problem.dose(self._unknowns.probe) * norm
        self._floor = ops.max(self._dose) * KEPT_DOSE

    def run(self, iterations: int) -> Array:
        """Do the iterations; return the object of the waves with the measured modulus.

        Raises:
            Whatever the check of the problem raises to stop the work.
        """
        prior, start = None, round(PRIOR_FROM * iterations)
        for number, beta in enumerate(relaxations(iterations)):
            patches = self._project(reflects=True)
            if self.with_prior and number >= start:
                prior = prior or self._new_prior()
            self._update_object(patches, prior, estimates=(number - start) % PRIOR_EVERY == 0)
            self._relax(beta)
        self._update_object(self._project(reflects=False), prior, estimates=False)
        return self.canvas_object

    def _new_prior(self) -> LocalPrior:
        problem = self.problem
        dose = problem.dose(self._unknowns.probe)
        return LocalPrior.for_dose(problem.ops, dose, estimates_at_once=True)

    def _update_object(self, patches: Array, prior: LocalPrior | None, *, estimates: bool) -> None:
        """Take the object of the overlap-added patches, damped by the prior."""
        problem, ops = self.problem, self.problem.ops
        self.canvas_object = ops.compiled(overlap_object)(
            patches, self._dose, self.canvas_object, self._floor
        )
        if prior is None:
            return
        if estimates:
            dose = problem.dose(self._unknowns.probe)
            prior.estimate(ops, problem.partition, self.canvas_object, dose)
        self.canvas_object = prior.apply(ops, problem.partition, self.canvas_object, 1.0)

    def _project(self, *, reflects: bool) -> Array:
        """Project on the measured moduli; return the patches of the waves, overlap-added.

        Args:
            reflects: whether the reflected waves are added, else the projected ones.
        """
        problem, ops = self.problem, self.problem.ops
        norm = ops.array(np.array(problem.scan.frame_size**-2.0, np.float32))

        def add(total: Array, batch: FrameBatch, placed: DeviceBatch) -> Array:
            probes = self._probes(placed)
            waves = self._waves.get(batch)
            if waves is None:
                patches = ops.cut(self.canvas_object, placed.corners, probes.shape[-1])
                waves = self._waves[batch] = probes * patches[:, None]
            measured = ops.compiled(measured_waves)(waves, placed.amplitudes, norm, problem.good)
            self._measured[batch] = measured
            reflected = ops.compiled(reflected_patches)(
                waves if reflects else measured, measured, probes
            )
            return ops.add(total, reflected, placed.corners)

        def zeros() -> Array:
            return ops.zeros(problem.canvas.shape, 'complex64')

        parts = problem.partial_sums(problem.batches(), self._unknowns, zeros, add, on_canvas=True)
        return sum(parts[1:], parts[0])

    def _relax(self, beta: float) -> None:
        """Take the waves after the iteration."""
        problem, ops = self.problem, self.problem.ops
        relaxation = ops.array(np.array(beta, np.float32))

        def change(_: None, batch: FrameBatch, placed: DeviceBatch) -> None:
            self._waves[batch] = ops.compiled(relaxed_waves)(
                self._waves[batch],
                self._measured[batch],
                self.canvas_object,
                self._probes(placed),
                placed.corners,
                relaxation,
            )

        problem.partial_sums(problem.batches(), self._unknowns, lambda: None, change)

    def _probes(self, placed: DeviceBatch) -> Array:
        """Return the probe of each frame of a batch over N, complex64 (b, modes, N, N)."""
        if placed.probes is not None:
            return placed.probes
        found: Array = frame_probes(self.problem.ops, self._unknowns, placed)[0]
        return found
