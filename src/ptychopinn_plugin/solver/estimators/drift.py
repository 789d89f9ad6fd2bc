"""A probe that varies slowly along the scan: its main mode is a mean plus a few smooth changes.

Orthogonal probe relaxation (Odstrcil et al., Opt. Express 24, 8360, 2016, doi:10.1364/OE.24.008360)
in a basis that is given: cosines of the frame's number. Frame j sees probe[0] +
sum_k basis[j, k] variation[k], which is linear in the variation and needs no further transforms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ambiguities import fourier_coordinates
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver
from ptychopinn_plugin.solver.estimators.tilt import remove_tilt

# Cosines along the scan: enough for a drift of a few turns.
FUNCTIONS = 8
# The variation starts once the object is there.
FIRST_PASS = 2
# Step of the variation relative to the probe's: the functions overlap, a full step overshoots.
VARIATION_SHARE = 0.5
# Passes after which a variation that does not stand out of the noise is given up: what holds back
# the positions of a small scan as soon as it is clear, the rest where a weak one shows.
EARLY_PASS, LOOK_PASS = 4, 8
# Ratio of the first singular value to the first one left out, after EARLY_PASS: other faults give
# up to 1.9, a drift by 0.2 waves 2.4.
EARLY_CONTRAST = 2.0
# The same after LOOK_PASS: a probe that is still far from right gives up to 2.7, a drift 3.7.
LEAST_CONTRAST = 3.0
# Strength that a real drift keeps since its first pass: what other faults give fades as they mend.
# The same at each pass after that: it takes errors of the positions longer to mend. Such errors of
# 1.5 px left 0.75 after eleven passes, a drift 0.94 after eighteen.
LEAST_KEPT, LEAST_LASTING = 0.7, 0.8
TINY = 1e-30


@dataclass(eq=False)
class DriftEstimator(Estimator):
    """Adds the variation of the probe, keeps its rank low and its undecided parts out.

    Attributes:
        rank: modes of the variation that are kept.
        selects: whether a variation that does not stand out is given up.
        active: whether the probe varies.
        contrast: first singular value over the first one left out, when last looked at.
    """

    saved_fields: ClassVar = ('active', 'contrast', '_first_strength')

    rank: int = 2
    selects: bool = False
    active: bool = False
    contrast: float = 0.0
    _first_strength: float = 0.0

    def after_pass(self, solver: Solver) -> None:
        """Start, condense or give up the variation."""
        if solver.passes == FIRST_PASS - 1 and not self.active:
            self._start(solver)
        elif self.active:
            strength = self._condense(solver)
            if solver.passes == FIRST_PASS:
                self._first_strength = strength
            if self.selects and not self._is_real(strength, solver.passes):
                self._give_up(solver)
            else:
                remove_tilt(solver)

    def _is_real(self, strength: float, passes: int) -> bool:
        """Return whether the variation may be a drift of the probe as far as is known by a pass."""
        kept = strength / max(self._first_strength, TINY)
        if passes > LOOK_PASS:
            return kept > LEAST_LASTING
        if passes == EARLY_PASS:
            return self.contrast > EARLY_CONTRAST
        return passes < LOOK_PASS or (kept > LEAST_KEPT and self.contrast > LEAST_CONTRAST)

    def remarks(self) -> tuple[str, ...]:
        """Return whether the probe varies along the scan."""
        if not self.active:
            return ()
        return (f'the probe varies along the scan ({self.rank} modes of variation)',)

    def _start(self, solver: Solver) -> None:
        problem = solver.problem
        frames, size = problem.scan.frame_count, problem.scan.frame_size
        problem.frame_values.basis = cosines(frames)
        zeros = problem.ops.zeros((FUNCTIONS, size, size), 'complex64')
        solver.change_unknowns(lambda unknowns: unknowns._replace(variation=zeros))
        self.active = True

    def _condense(self, solver: Solver) -> float:
        """Keep the leading modes, less what noise alone gives; return the strength of the first."""
        ops = solver.problem.ops
        variation = ops.numpy(solver.state.now.variation)
        parts = variation.astype(np.complex128).reshape(FUNCTIONS, -1).view(np.float64)
        # Of the small matrix of products: the decomposition of the modes themselves takes 0.05 s.
        squares, left = (one[..., ::-1] for one in np.linalg.eigh(parts @ parts.T))
        values = np.sqrt(np.maximum(squares, 0))
        noise = float(np.mean(values[self.rank :] ** 2))
        kept = np.maximum(1 - noise / np.maximum(values**2, TINY), 0)
        kept[self.rank :] = 0
        self.contrast = float(values[0] / max(values[self.rank], TINY))
        projection = ((left * kept) @ left.T).astype(np.float32)
        placed = ops.array(projection)
        solver.transform(lambda u: u._replace(variation=ops.combine(placed, u.variation)))
        return float(values[0]) / float(np.linalg.norm(ops.numpy(solver.probe)))

    def _give_up(self, solver: Solver) -> None:
        solver.change_unknowns(lambda unknowns: unknowns._replace(variation=None))
        solver.problem.frame_values.basis = None
        self.active = False


def cosines(frames: int) -> npt.NDArray[np.float32]:
    """Return cosines of the frame's number, each of mean square 1, float32 (n, functions)."""
    along = (np.arange(frames) + 0.5) / frames
    orders = np.arange(1, FUNCTIONS + 1)
    return np.asarray(math.sqrt(2) * np.cos(math.pi * orders * along[:, None]), np.float32)


def free_variation(ops: Ops, direction: Array, probe: Array) -> Array:
    """Return a gradient image of the variation without what else can do the same.

    A scale of the probe that varies is a flux, a phase nothing at all, a shift a position and a
    ramp a part of the object. Their real multiples are taken off one after the other, and each
    off those after it (modified Gram-Schmidt).

    Args:
        ops: the framework.
        direction: complex64 (functions, N, N).
        probe: complex64 (modes, N, N); the first one is the main mode.
    """
    others = _other_changes(ops, probe[:1])
    count, size = others.shape[0], others.shape[-1]
    images = ops.join(others, direction, axis=0)
    images = ops.join(ops.real(images), ops.imag(images))
    for index in range(count):
        one = images[index][None]
        overlaps = ops.sum(one * images, (1, 2)) / (ops.sum(one * one) + TINY)
        images = images - one * overlaps[:, None, None]
    return ops.complex(images[count:, :size], images[count:, size:])


def _other_changes(ops: Ops, main: Array) -> Array:
    """Return how scale, phase, ramps and shifts change a mode (1, N, N), complex64 (6, N, N)."""
    size = main.shape[-1]
    pixels = np.arange(size) - size // 2
    # In units of the frame and of a cycle a pixel, so that all are about as long as the mode.
    factors = np.stack(np.broadcast_arrays(1, 1j, 1j * pixels[:, None] / size, 1j * pixels / size))
    rows, columns = fourier_coordinates(size)
    slopes = np.stack(np.broadcast_arrays(2j * np.pi * rows, 2j * np.pi * columns))
    ramps = main * ops.array(factors.astype(np.complex64))
    shifts = ops.ifft2(ops.fft2(main) * ops.array(slopes.astype(np.complex64)))
    return ops.join(ramps, shifts, axis=0)
