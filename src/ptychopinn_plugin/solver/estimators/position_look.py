"""What the frames show of errors of their positions, without moving anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.estimators.affine import AffineLook
from ptychopinn_plugin.solver.estimators.estimator import Solver
from ptychopinn_plugin.solver.estimators.position_columns import (
    FrameSums,
    frame_sums,
    strong_modes,
)
from ptychopinn_plugin.solver.sweeps import DeviceBatch

# Least share of the misfit above noise that moves of single frames must explain: at the first look,
# the unfinished object of a small scan gives up to 0.084, errors of 0.5 px 0.199 or more; later,
# 0.1 px gives 0.077, 0.5 px beside wrong modes and flux 0.057, other faults give 0.042 or less.
FIRST_FRAME_SHARE, FRAME_SHARE = 0.1, 0.055
# Least share of the misfit above noise that scale, rotation, aspect and shear must explain to
# be significant: at most passes, other faults give up to 0.002 for rotation and shear, of which
# 0.25 deg give 0.009 or more. Unfinished objects, damped noise, wrong modes and a probe that varies
# look like a scale or an aspect: up to 0.046 with a chi-squared of 152, 0.022 with 284, 0.018 with
# 390; a scale of 1.005 gives 0.04 with 600 as soon as the object is there.
AFFINE_SHARE = np.array([0.025, 0.005, 0.02, 0.01])
# Least chi-squared of a scale that is significant, less where it explains more than any of those
# other faults: few frames of few photons give a smaller one (1.015 in 144 frames of 1e5: 249 with
# 0.092). Of any number relative to the logarithm of the number of frames, four times that of the
# Bayesian information criterion.
SCALE_CLEAR, LARGE_SCALE_CLEAR, LARGE_SCALE_SHARE, AFFINE_CLEAR = 400.0, 170.0, 0.06, 4.0
# Least gain of the moves beyond chance, relative to what chance gives: an unfinished object of 64
# frames gives up to 2.3, errors of 0.1 px 8.8 or more. Where residuals vary no more than noise,
# by 1/4, nothing else is unfinished: errors in dim scans give 1.7 or more.
CLEAR, QUIET_CLEAR, QUIET_VARIANCE = 3.0, 1.5, 0.3
# Half of a scale is hidden in an object and probe that adapted to it: measured at all passes.
HIDDEN_SCALE = 2.0
# Relative to a frame's information: a frame without structure along an axis has none there.
RIDGE = 1e-3
# Misfit that is never taken for explained by noise.
LEAST_EXCESS = 0.04
TINY = 1e-30

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class FrameLook(NamedTuple):
    """Score and information of the position of each frame.

    Attributes:
        score: float64 (n, 2).
        information: float64 (n, 2, 2).
        variance: of a residual where it depends on positions; 1/4 if there is only noise.
        misfit: of amplitudes, over all frames.
        noise: the misfit that noise alone would leave.
    """

    score: Floats
    information: Floats
    variance: float
    misfit: float
    noise: float

    def steps(self) -> Floats:
        """Return the Gauss-Newton steps, float64 (n, 2), object pixels."""
        found = np.linalg.solve(self.information, self.score[..., None])
        return np.asarray(found[..., 0])

    def excess(self) -> float:
        """Return the misfit above noise."""
        return max(self.misfit - self.noise, LEAST_EXCESS * self.misfit)

    def share(self) -> float:
        """Return the share of the misfit above noise that moves of the frames explain."""
        return self.gain() / max(self.excess(), TINY)

    def is_clear(self) -> bool:
        """Return whether the moves explain more than chance and an unfinished object do."""
        least = QUIET_CLEAR if self.variance < QUIET_VARIANCE else CLEAR
        return self.gain() > least * 2 * self.variance * len(self.score)

    def gain(self) -> float:
        """Return the misfit that the steps take away beyond what two numbers a frame always do."""
        return float(np.sum(self.score * self.steps()) - 2 * self.variance * len(self.score))


def clear_shares(affine: AffineLook, look: FrameLook, frames: int) -> Floats:
    """Return the share of the misfit above noise that each affine number explains, (4,).

    0 where it is not clear of chance.

    Args:
        affine: of the frames.
        look: of the frames.
        frames: of the scan.
    """
    clear = affine.significance > AFFINE_CLEAR * np.log(frames)
    return np.where(clear, affine.gain / max(look.excess(), TINY), 0.0)


def significant(affine: AffineLook, shares: Floats) -> Bools:
    """Return which affine numbers are wrong, and not mimicked by another fault, (4,).

    Args:
        affine: of the frames.
        shares: from `clear_shares`.
    """
    found = shares > AFFINE_SHARE
    least = LARGE_SCALE_CLEAR if shares[0] > LARGE_SCALE_SHARE else SCALE_CLEAR
    found[0] &= affine.significance[0] > least
    return found


def look_frames(
    solver: Solver, slopes: tuple[Array, Array], batches: Iterable[FrameBatch]
) -> FrameLook:
    """Compute score and information of each frame's own position.

    Args:
        solver: at its present state.
        slopes: from `object_slopes`.
        batches: of the frames that are looked at.
    """
    problem, ops, now = solver.problem, solver.problem.ops, solver.state.now
    sums = np.zeros((len(FrameSums._fields), problem.scan.frame_count))
    look, asked = ops.compiled(frame_sums), np.zeros(problem.scan.frame_count)
    modes = strong_modes(ops, now.probe)

    def add(_: None, batch: FrameBatch, placed: DeviceBatch) -> None:
        found = look(now, slopes, placed, problem.good, modes)
        sums[:, batch.frames] = np.stack([ops.numpy(values) for values in found])
        asked[batch.frames] = 1

    problem.partial_sums(batches, now, lambda: None, add)
    sums, asked = map(problem.partition.total_values, (sums, asked))
    score_y, score_x, yy, xx, yx, spread, misfit, noise = sums[:, asked > 0]
    trace = yy + xx
    information = np.stack([np.stack([yy, yx], 1), np.stack([yx, xx], 1)], 1)
    information += (RIDGE * trace + TINY)[:, None, None] * np.eye(2)
    variance = float(np.sum(spread)) / max(float(np.sum(trace)), TINY)
    score = np.stack([score_y, score_x], axis=1)
    return FrameLook(score, information, variance, float(np.sum(misfit)), float(np.sum(noise)))
