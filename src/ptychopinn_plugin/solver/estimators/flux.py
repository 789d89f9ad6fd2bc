"""The photons of the beam, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.frame_chunks import frame_numbers
from ptychopinn_plugin.scan.photon_steps import photon_step
from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.unknowns import Unknowns

# Passes before the first estimate: ratios of photons mean something once the object is there.
FIRST_PASS = 2
# Of the polynomial in the position that the object's amplitude takes over from the flux: a smooth
# flux and a smooth amplitude of the object give the same frames.
SMOOTH_DEGREE = 2
POWERS = [(a, b) for a in range(SMOOTH_DEGREE + 1) for b in range(SMOOTH_DEGREE + 1 - a)]
# Relative spread of the flux that is worth a remark.
LEAST_REMARKED = 1e-3
# Variance of the square root of a Poisson count.
AMPLITUDE_VARIANCE = 0.25

Floats = npt.NDArray[np.float64]


@dataclass(eq=False)
class FluxEstimator(Estimator):
    """Estimates the weight of each frame's photon ratio in the estimate of its flux.

    Attributes:
        spread: relative standard deviation of the flux beyond photon noise.
        flux: float64 (n,), relative photons of each frame.
        continued: whether it starts at a flux that was found before.
        first_pass: after which it is estimated first, where it does not.
    """

    saved_fields: ClassVar = ('spread', 'flux', '_photons', '_lit', '_step')

    spread: float = 0.0
    flux: Floats | None = None
    continued: bool = False
    first_pass: int = FIRST_PASS
    _photons: Floats | None = None
    _lit: float = 0.0
    _step: int | None = None

    def after_pass(self, solver: Solver) -> None:
        """Estimate the spread; give the smooth part of the flux to the object."""
        problem, values = solver.problem, solver.problem.frame_values
        if solver.passes < self.first_pass and not self.continued:
            values.flux_trust = np.zeros(problem.scan.frame_count, np.float32)
            return
        ratios = np.maximum(values.photon_ratios.astype(np.float64), 1e-3)
        terms = _polynomial(problem.scan.positions_px)
        logs = np.log(ratios)
        rest = logs - terms @ np.linalg.lstsq(terms, logs, rcond=None)[0]
        noise = self._noise(solver)
        variance = max(0.0, float(np.mean(rest**2 - noise)))
        self.spread = float(np.sqrt(variance))
        trust = variance / (variance + noise)
        before = np.zeros_like(trust) if values.flux_trust is None else values.flux_trust
        self.flux = 1 + before * (ratios - 1)
        values.flux_trust = trust.astype(np.float32)
        if variance > 0:
            self._fix_scale(solver, terms)

    def remarks(self) -> tuple[str, ...]:
        """Return the spread of the flux."""
        if self.spread < LEAST_REMARKED:
            return ()
        return (f'the flux varies by {self.spread:.1%} from frame to frame',)

    def _noise(self, solver: Solver) -> Floats:
        """Return the variance of each frame's ratio by photon noise and the present misfit."""
        if self._photons is None:
            self._count(solver.problem)
        assert self._photons is not None
        photons = light = self._photons
        background = solver.state.now.background
        if background is not None:
            per_frame = float(solver.problem.ops.numpy(background).sum(dtype=np.float64))
            light = photons - per_frame
        expected = AMPLITUDE_VARIANCE * max(self._lit, 1.0)
        excess = max(1.0, solver.last_misfit / expected)
        return np.asarray(excess * np.maximum(photons, 1) / np.maximum(light, 1) ** 2)

    def _count(self, problem: Problem) -> None:
        """Count the photons of each frame, and the pixels of all frames that hold any."""
        scan, own = problem.scan, problem.partition.frames
        frames = np.arange(scan.frame_count) if own is None else own
        photons, lit = np.zeros(scan.frame_count), 0.0
        for index in frame_numbers(len(frames), 4 * len(frames) * scan.frame_size**2):
            some = frames[index]
            counts = np.where(scan.mask, np.float32(0), scan.counts[some])
            photons[some] = counts.sum(axis=(1, 2), dtype=np.float64)
            lit += float(np.minimum(counts, 1).sum(dtype=np.float64))
        self._photons = problem.partition.total_values(photons)
        step = photon_step(self._photons, scan.positions_px)
        self._step = None if step is None else step.frame
        self._lit = problem.partition.total(lit)

    def _with_step(self, terms: Floats) -> Floats:
        """Return terms and, where the photons step in time, that step."""
        if self._step is None:
            return terms
        after = np.arange(len(terms)) >= self._step
        # Of zero mean: the mean photons stay with the polynomial.
        return np.column_stack([terms, after - after.mean()])

    def _fix_scale(self, solver: Solver, terms: Floats) -> None:
        """Give the mean of the flux to the probe and its smooth part to the object."""
        assert self.flux is not None
        ops = solver.problem.ops
        mean = float(np.mean(self.flux))
        self.flux = self.flux / mean
        scale = ops.array(np.asarray(np.sqrt(mean), np.float32))
        # A probe that varies along the scan carries a part of the photons' variation.
        powers = solver.problem.frame_values.relative_powers(ops, solver.state.now)
        photons = np.maximum(self.flux * powers, 1e-3)
        smooth, *_ = np.linalg.lstsq(self._with_step(terms), np.log(photons), rcond=None)
        amplitude = _on_canvas(solver, smooth[: len(POWERS)])
        factor = ops.array(amplitude.astype(np.float32))

        def rescale(unknowns: Unknowns) -> Unknowns:
            variation = unknowns.variation
            return unknowns._replace(
                canvas_object=ops.scale(unknowns.canvas_object, factor),
                probe=ops.scale(unknowns.probe, scale),
                variation=None if variation is None else ops.scale(variation, scale),
            )

        solver.transform(rescale)


def _polynomial(positions_px: Floats) -> Floats:
    """Return the terms of a polynomial in the position, float64 (n, terms)."""
    y, x = ((positions_px - positions_px.mean(axis=0)) / _extent(positions_px)).T
    return np.stack([y**a * x**b for a, b in POWERS], axis=1)


def _extent(positions_px: Floats) -> Floats:
    return np.asarray(np.maximum(positions_px.std(axis=0), 1e-9))


def _on_canvas(solver: Solver, coefficients: npt.NDArray[np.floating]) -> Floats:
    """Return exp(polynomial / 2) at the pixels of the canvas, constant beyond the scanned field."""
    positions, canvas = solver.problem.scan.positions_px, solver.problem.canvas
    low, high = positions.min(axis=0), positions.max(axis=0)
    pixels = [
        np.arange(side) + first for side, first in zip(canvas.shape, canvas.origin_px, strict=True)
    ]
    y, x = (
        (np.clip(line, low[axis], high[axis]) - positions[:, axis].mean())
        / _extent(positions)[axis]
        for axis, line in enumerate(pixels)
    )
    # A sum of products of a row's and a column's power: the powers of each are taken once.
    matrix = np.zeros((SMOOTH_DEGREE + 1, SMOOTH_DEGREE + 1))
    matrix[tuple(np.transpose(POWERS))] = coefficients
    orders = np.arange(SMOOTH_DEGREE + 1)
    logs = (y[:, None] ** orders) @ matrix @ (x[:, None] ** orders).T
    return np.asarray(np.exp(logs / 2))
