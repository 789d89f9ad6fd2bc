"""The start of a scan whose frames overlap little: an object from reflections of its exit waves.

Kept only where photons that were held out support it. From the other photons the scan is
reconstructed twice, by passes from an empty object and by a few passes from the object of the
reflections; the photons held out are independent of both (photon thinning: Batson and Royer,
Noise2Self, ICML 2019, doi:10.48550/arXiv.1901.11365).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.errors import ReconstructionError
from ptychopinn_plugin.physics.noise_models import POISSON
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.data import FloatArray
from ptychopinn_plugin.scan.thinning import split_photons
from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.overlap import overlaps_little
from ptychopinn_plugin.solver.prepare import prepare_solver
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.reflected_object import reflected_object, start_at
from ptychopinn_plugin.solver.start import Start

# The exit waves of all frames stay in memory, before and after the projection.
MOST_BYTES = 2**31
# A tenth of the photons is enough to compare objects whose errors differ by a few per cent, and
# hardly missed.
KEPT_PHOTONS = 0.9
SEED = 0
# Passes from an empty object, as many as by default, and passes from the object of the reflections.
EMPTY_PASSES, PASSES = 24, 8
# What is estimated beside object and probe waits for the passes.
LATER = {
    'auto': False,
    'opr_modes': 0,
    'update_background': False,
    'update_flux': False,
    'update_positions': 'off',
}


@dataclass(frozen=True)
class ReflectionStart:
    """What was found.

    Attributes:
        solver: with the object and the probe to start from, of a share `KEPT_PHOTONS` of them.
        empty: residual of the photons held out, of the passes from an empty object.
        reflected: the same of the passes from the object of the reflections.
        refined: the same with the probe refined, where the solver holds the given one because
            that explains these photons better; None otherwise.
    """

    solver: AcceleratedSolver
    empty: float
    reflected: float
    refined: float | None = None

    @property
    def gains(self) -> bool:
        """Whether the photons held out support it."""
        return self.reflected < self.empty

    @property
    def remark(self) -> str:
        """A sentence for the result, in lower case and without a full stop."""
        found = (
            f'(residual of held-out photons {self.reflected:.5f}, '
            f'from an empty object {self.empty:.5f})'
        )
        if self.gains and self.refined is not None:
            return (
                'the frames overlap little: the object started from reflections with the given '
                f'probe, which is held {found[:-1]}, with the probe refined {self.refined:.5f})'
            )
        if self.gains:
            return f'the frames overlap little: the object started from reflections {found}'
        return (
            'the frames overlap little, but reflections do not explain them better than passes '
            f'from an empty object {found}'
        )


def is_asked_for(scan: ScanData, inference: InferenceConfig) -> bool:
    """Return whether a scan is to start from reflections.

    Args:
        scan: with the probe to start from.
        inference: as given. Another start that is asked for is taken.
    """
    if not (inference.reflections and inference.refine_iterations):
        return False
    waves = 2 * scan.frame_count * scan.mode_count * scan.frame_size**2
    fits = waves * np.dtype(np.complex64).itemsize <= MOST_BYTES
    return inference.initial == 'empty' and fits and overlaps_little(scan)


def find_reflection_start(
    ops: Ops, scan: ScanData, inference: InferenceConfig, start: Start, check: Callable[[], None]
) -> ReflectionStart | None:
    """Return the start from reflections; None where the scan is not one for it.

    The reflections hold the probe: the given one, or that of the passes from an empty object. Where
    the settings leave open whether it is refined, both are tried: frames that overlap little say
    little about the probe, and a right one that is refined with them becomes worse.

    Args:
        ops: the framework.
        scan: all frames.
        inference: as given.
        start: of the probe, from `find_start`.
        check: called before every batch; raises to stop the work.
    """
    if not is_asked_for(start.applied(scan), inference):
        return None
    thinned = _ThinnedScan.of(ops, scan, inference, check)
    try:
        empty = thinned.from_empty(start)
        found = thinned.compared(thinned.from_reflections(empty, start), thinned.residual(empty))
    except ReconstructionError:
        return None
    return _with_held_probe(thinned, found) if _may_hold(scan, start, inference) else found


def _with_held_probe(thinned: _ThinnedScan, refined: ReflectionStart) -> ReflectionStart:
    """Return the start with the probe as it is given, where it explains held-out photons better.

    After that with a refined probe: it is kept only where it is better than both of those.
    """
    given = Start()
    try:
        solver = thinned.from_reflections(thinned.solver(given, reflected=False), given)
    except ReconstructionError:
        return refined
    held = thinned.compared(solver, refined.empty, refined=refined.reflected)
    return held if held.reflected < min(refined.empty, refined.reflected) else refined


@dataclass(frozen=True, eq=False)
class _ThinnedScan:
    """A scan whose photons are divided, for reconstructions from a part of them.

    Attributes:
        ops: the framework.
        scan: all frames, with `KEPT_PHOTONS` of their photons and of their light.
        held_out: float32 (n, N, N), the other photons.
        inference: settings of the reconstructions.
        iterations: reflections.
        check: called before every batch; raises to stop the work.
    """

    ops: Ops
    scan: ScanData
    held_out: FloatArray
    inference: InferenceConfig
    iterations: int
    check: Callable[[], None]

    @classmethod
    def of(
        cls, ops: Ops, scan: ScanData, inference: InferenceConfig, check: Callable[[], None]
    ) -> _ThinnedScan:
        """Divide the photons of a scan."""
        rng = np.random.default_rng(SEED)
        kept, held_out = split_photons(np.asarray(scan.counts[:]), KEPT_PHOTONS, rng)
        power = inference.probe_power * KEPT_PHOTONS
        later = inference.model_copy(update={**LATER, 'probe_power': power})
        part = _part(scan, kept, KEPT_PHOTONS)
        return cls(ops, part, held_out, later, inference.reflections, check)

    @property
    def passes(self) -> int:
        """Passes from an empty object."""
        return min(EMPTY_PASSES, self.inference.refine_iterations)

    def solver(self, start: Start, *, reflected: bool) -> AcceleratedSolver:
        """Return a solver before its first pass."""
        part = dataclasses.replace(_scaled(start, KEPT_PHOTONS), reflected=reflected)
        return prepare_solver(self.ops, self.scan, self.inference, self.check, start=part)

    def from_empty(self, start: Start) -> AcceleratedSolver:
        """Reconstruct from an empty object."""
        return _after(self.solver(start, reflected=False), self.passes)

    def from_reflections(self, source: AcceleratedSolver, start: Start) -> AcceleratedSolver:
        """Reconstruct from the object of reflections with the probe of another solver."""
        solver = self.solver(start, reflected=True)
        start_at(solver, reflected_object(source, self.iterations), source.probe)
        return _after(solver, min(PASSES, self.passes))

    def residual(self, solver: AcceleratedSolver) -> float:
        """Return the Poisson residual of the photons that a solver did not get."""
        return _held_out_residual(solver, self.held_out)

    def compared(
        self, solver: AcceleratedSolver, empty: float, refined: float | None = None
    ) -> ReflectionStart:
        """Return the start from a solver's object, with its residual beside those of others."""
        return ReflectionStart(solver, empty, self.residual(solver), refined)


def settle(start: Start, found: ReflectionStart | None) -> None:
    """Record whether the object starts from reflections, and whether the probe is then held."""
    start.reflected = found is not None and found.gains
    if found is not None and found.gains and found.refined is not None:
        # As given: where it was chosen among several starts, those were for a probe to be refined.
        start.refines, start.probe, start.remarks, start.is_chosen = False, None, [], False


def _may_hold(scan: ScanData, start: Start, inference: InferenceConfig) -> bool:
    """Return whether the scan has a probe that may be held though it is to be refined."""
    given = not scan.metadata.probe_is_unknown
    return inference.update_probe == 'auto' and start.refines and given


def apply_start(solver: AcceleratedSolver, found: ReflectionStart) -> None:
    """Start a solver of the same scan from the object, and the probe, that were found."""
    ops, source = solver.problem.ops, found.solver
    image = np.ones(solver.problem.canvas.shape, np.complex64)
    corner = np.subtract(source.problem.canvas.origin_px, solver.problem.canvas.origin_px)
    height, width = source.problem.canvas.shape
    top, left = (int(one) for one in corner)
    image[top : top + height, left : left + width] = ops.numpy(source.canvas_object)
    start_at(solver, ops.array(image), _times(ops, source.probe, KEPT_PHOTONS**-0.5))


def _part(scan: ScanData, counts: FloatArray, share: float) -> ScanData:
    """Return a scan of a share of its photons, and of its light."""
    root = math.sqrt(share)
    probe = (scan.probe * np.float32(root)).astype(np.complex64)
    estimates = scan.estimates.scaled(root)
    if estimates.background is not None:
        background = estimates.background * np.float32(share)
        estimates = dataclasses.replace(estimates, background=background)
    return dataclasses.replace(scan, counts=counts, probe=probe, estimates=estimates)


def _scaled(start: Start, share: float) -> Start:
    """Return the start of the probe with a share of its light."""
    if start.probe is None:
        return start
    probe = (start.probe * np.float32(math.sqrt(share))).astype(np.complex64)
    return dataclasses.replace(start, probe=probe)


def _times(ops: Ops, probe: Array, factor: float) -> Array:
    return ops.scale(probe, ops.array(np.array(factor, np.float32)))


def _after(solver: AcceleratedSolver, passes: int) -> AcceleratedSolver:
    """Do some passes and take the last state."""
    for _ in range(passes):
        solver.one_pass()
    solver.finish()
    return solver


def _held_out_residual(solver: AcceleratedSolver, counts: FloatArray) -> float:
    """Return the Poisson residual of the photons that a solver did not get."""
    problem, ops = solver.problem, solver.problem.ops
    scan = dataclasses.replace(problem.scan, counts=counts)
    held_out = Problem.for_scan(ops, scan, 1, fixed_probe=False, check=problem.check, noise=POISSON)
    now, share = solver.state.now, 1 / KEPT_PHOTONS - 1
    probe = _times(ops, now.probe, math.sqrt(share))
    background = None if now.background is None else now.background * share
    unknowns = now._replace(probe=probe, variation=None, background=background)
    misfit = held_out.misfit(0, unknowns)
    return misfit / max(held_out.total_counts, 1e-30)
