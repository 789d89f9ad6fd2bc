"""Refinement of the scan positions between passes.

A position is the nominal one, moved by one affine change of all (see `affine`), plus an error of
its own. A frame's error is a Gauss-Newton step on the modulus at the detector, shrunk by a prior
whose width all frames give together (see `position_prior`); where no error stands out of the noise,
nothing moves. Asked to decide (`auto`), the refiner changes nothing until positions explain a share
of the misfit that other faults do not mimic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.solver.affine import AffineChange, AffineLook, look_affine, warp
from ptychopinn_plugin.solver.estimator import Estimator, Solver
from ptychopinn_plugin.solver.position_columns import FrameSums, frame_sums, object_slopes
from ptychopinn_plugin.solver.position_prior import posterior_errors, without_affine

# Pixels around the patches where frames may move to.
MARGIN_PX = 8
# Passes before the first look: the object must be there and the probe must have moved.
FIRST_PASS = 4
# Looks of `auto`, as long as it is not convinced; other passes cost nothing.
LOOKS = (4, 6, 9, 13)
# Passes up to which frames are looked at after every pass; then after every second one.
LAST_OF_EACH = 11
# Least share of the misfit above noise that moves of single frames must promise: at the first look,
# the unfinished object of a small scan gives up to 0.084, errors of 0.5 px 0.199 or more; later,
# 0.1 px gives 0.077, 0.5 px beside wrong modes and flux 0.057, other faults give 0.042 or less.
FIRST_FRAME_SHARE, FRAME_SHARE = 0.1, 0.055
# Least share of the whole misfit that one number of the affine change must promise: at the first
# look, a wrong one gives 0.0142 or more and other faults 0.0041 or less; at later looks, a probe
# that varies looks like a scale (0.010).
AFFINE_SHARE, LATE_AFFINE_SHARE = 0.008, 0.02
# The same for a scale once an affine change was seen, for its further steps, and for the other
# numbers once positions are refined.
NEXT_SCALE, FURTHER_SCALE, OTHERS = 0.004, 0.0006, 0.003
# Share of noise in the misfit above which any clear change of the other numbers is believed.
NOISY = 2 / 3
# Least gain of the moves beyond chance, relative to what chance gives: an unfinished object of 64
# frames gives up to 2.3, errors of 0.1 px 8.8 or more. Where residuals vary no more than noise,
# by 1/4, nothing else is unfinished: errors in dim scans give 1.7 or more.
CLEAR, QUIET_CLEAR, QUIET_VARIANCE = 3.0, 1.5, 0.3
# Half of a scale hides in an object and probe that adapted to it: measured at all passes.
HIDDEN_SCALE = 2.0
# Largest step in object pixels: so far the modulus is linear in a shift.
LARGEST_STEP_PX = 0.5
# Relative to a frame's information: a frame without structure along an axis has none there.
RIDGE = 1e-3
# Misfit that is never taken for explained by noise.
LEAST_EXCESS = 0.04
TINY = 1e-30

Floats = npt.NDArray[np.float64]


class _Look(NamedTuple):
    """Score and information of the position of each frame.

    Attributes:
        score: float64 (n, 2).
        information: float64 (n, 2, 2).
        variance: of a residual where it tells of positions; 1/4 if there is only noise.
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

    def share(self) -> float:
        """Return the share of the misfit above noise that moves of the frames promise."""
        excess = max(self.misfit - self.noise, LEAST_EXCESS * self.misfit)
        return self._gain() / max(excess, TINY)

    def is_clear(self) -> bool:
        """Return whether the moves promise more than chance and an unfinished object do."""
        least = QUIET_CLEAR if self.variance < QUIET_VARIANCE else CLEAR
        return self._gain() > least * 2 * self.variance * len(self.score)

    def is_noisy(self) -> bool:
        """Return whether most of the misfit is noise."""
        return self.noise > NOISY * self.misfit

    def _gain(self) -> float:
        """Return the misfit that the steps take away beyond what two numbers a frame always do."""
        return float(np.sum(self.score * self.steps()) - 2 * self.variance * len(self.score))


@dataclass(eq=False)
class PositionRefiner(Estimator):
    """Moves frames to where they were measured.

    Attributes:
        mode: 'on', or 'auto' to move frames only where they show that positions are wrong.
        constraint: 'affine' for one affine change of all positions alone, 'no_affine' for errors of
            single frames alone, 'none' for both.
        active: whether positions are refined.
        reason: why, or why not, in a sentence.
        sigma_px: width of the errors of single frames, both axes together, object pixels.
        affine: the common change of all positions.
        frame_share: share of the misfit above noise that moves promised at the last look.
        affine_share: share of the misfit that one affine number promised at the last look.
    """

    saved_fields: ClassVar = (
        'active',
        'reason',
        'sigma_px',
        'affine',
        'frame_share',
        'affine_share',
        '_errors',
        '_affine_seen',
        '_scale_moves',
        '_affine_moves',
    )

    mode: Literal['auto', 'on'] = 'auto'
    constraint: Literal['none', 'affine', 'no_affine'] = 'none'
    active: bool = False
    reason: str = f'positions are first looked at after pass {FIRST_PASS}'
    sigma_px: float = 0.0
    affine: AffineChange = field(default_factory=AffineChange)
    frame_share: float = 0.0
    affine_share: float = 0.0
    _errors: Floats | None = None
    _affine_seen: bool = False
    _scale_moves: bool = False
    _affine_moves: bool = False

    def after_pass(self, solver: Solver) -> None:
        """Look at the frames and move them."""
        if not self._is_due(solver.passes):
            return
        slopes = solver.problem.ops.compiled(object_slopes)(solver.canvas_object)
        look = _look(solver, slopes)
        affine = look_affine(solver, slopes) if self._is_affine_due(solver.passes) else None
        self.frame_share = look.share()
        if affine is not None:
            self.affine_share = float(np.max(affine.gain)) / max(look.misfit, TINY)
            self._affine_seen |= self.affine_share > _affine_needed(solver.passes)
        if not self.active:
            self._decide(look, solver.passes)
        if not self.active:
            return
        if affine is not None:
            self._move_all(solver, affine, look)
        if self.constraint != 'affine':
            self._move_each(solver, look)
        solver.move_frames(self._positions(solver))

    def remarks(self) -> tuple[str, ...]:
        """Return the common change of the positions and the errors of single frames."""
        if not self.active:
            return ()
        change, parts = self.affine, []
        if change.matrix.any():
            parts.append(
                f'scale {change.scale:.4f}, rotation {change.rotation_deg:+.2f} deg, '
                f'aspect {change.aspect:+.4f}, shear {change.shear:+.4f}'
            )
        if self.constraint != 'affine':
            parts.append(f'errors of single frames {self.sigma_px:.2f} px')
        return (f'positions were refined: {", ".join(parts) or "no affine change was found"}',)

    def _is_due(self, passes: int) -> bool:
        if self.active or self.mode == 'on':
            beyond = max(passes - LAST_OF_EACH, 0)
            return passes >= FIRST_PASS and beyond % 2 == 0
        return passes in LOOKS

    def _is_affine_due(self, passes: int) -> bool:
        """Return whether the affine change still moved, or may not have shown yet."""
        return self.constraint != 'no_affine' and (self._affine_moves or passes in LOOKS)

    def _decide(self, look: _Look, passes: int) -> None:
        """Start where positions, and not something else, explain the misfit."""
        enough = FIRST_FRAME_SHARE if passes == FIRST_PASS else FRAME_SHARE
        moves = self.constraint != 'affine'
        single = moves and self.frame_share > enough and look.is_clear()
        self.active = self.mode == 'on' or single or self._affine_seen
        if self.mode == 'on':
            self.reason = 'positions are refined as asked'
            return
        verdict = 'positions are refined' if self.active else 'positions are left alone'
        self.reason = (
            f'{verdict}: after pass {passes}, errors of single frames explain '
            f'{max(self.frame_share, 0):.1%} of the misfit above noise ({enough:.1%} needed), '
            f'a common scale, rotation or shear {self.affine_share:.2%} of the misfit '
            f'({_affine_needed(passes):.2%} needed)'
        )

    def _move_all(self, solver: Solver, affine: AffineLook, look: _Look) -> None:
        """Change all positions at once, the object moving along."""
        shares = affine.gain / max(look.misfit, TINY)
        # As much above chance as the Bayesian information criterion asks for one number more, and
        # no trace of what else is wrong with the model: modes, for one, mimic an aspect.
        significant = affine.significance > 4 * np.log(len(look.score))
        kept = significant & ((shares > OTHERS) | look.is_noisy())
        starts = not self._scale_moves
        kept[0] = self._affine_seen and shares[0] > (NEXT_SCALE if starts else FURTHER_SCALE)
        self._scale_moves |= bool(kept[0])
        step = np.where(kept, affine.step, 0.0)
        if starts:
            step[0] *= HIDDEN_SCALE
        self._affine_moves = bool(kept.any())
        if self._affine_moves:
            self._warp(solver, self.affine.add(step))

    def _warp(self, solver: Solver, change: Floats) -> None:
        problem, ops = solver.problem, solver.problem.ops
        partition = problem.partition
        centre = _centre(solver) - np.asarray(partition.whole_canvas.origin_px)

        def moved(canvas_object: Array) -> Array:
            return ops.array(warp(ops.numpy(canvas_object), change, centre))

        solver.move_object(lambda image: partition.on_whole(moved, image))

    def _move_each(self, solver: Solver, look: _Look) -> None:
        """Estimate the error of every frame."""
        nominal = solver.problem.scan.positions_px
        steps = np.clip(look.steps(), -LARGEST_STEP_PX, LARGEST_STEP_PX)
        estimates = steps if self._errors is None else self._errors + steps
        own = without_affine(estimates, look.information, nominal - _centre(solver))
        self._errors, self.sigma_px = posterior_errors(own, look.information, look.variance)

    def _positions(self, solver: Solver) -> Floats:
        """Return where the frames lie, float64 (n, 2), object pixels."""
        nominal = solver.problem.scan.positions_px
        moved = nominal + (nominal - _centre(solver)) @ self.affine.matrix.T
        return moved if self._errors is None else moved + self._errors


def _centre(solver: Solver) -> Floats:
    return np.asarray(solver.problem.scan.positions_px.mean(axis=0))


def _affine_needed(passes: int) -> float:
    return AFFINE_SHARE if passes == FIRST_PASS else LATE_AFFINE_SHARE


def _look(solver: Solver, slopes: tuple[Array, Array]) -> _Look:
    """Compute score and information of each frame's own position."""
    problem, ops, now = solver.problem, solver.problem.ops, solver.state.now
    sums = np.zeros((len(FrameSums._fields), problem.scan.frame_count))
    look = ops.compiled(frame_sums)
    for batch, placed in problem.placed(problem.batches(), now):
        found = look(now, slopes, placed, problem.good)
        sums[:, batch.frames] = np.stack([ops.numpy(values) for values in found])
    sums = problem.partition.total_values(sums)
    score_y, score_x, yy, xx, yx, spread, misfit, noise = sums
    trace = yy + xx
    information = np.stack([np.stack([yy, yx], 1), np.stack([yx, xx], 1)], 1)
    information += (RIDGE * trace + TINY)[:, None, None] * np.eye(2)
    variance = float(np.sum(spread)) / max(float(np.sum(trace)), TINY)
    score = np.stack([score_y, score_x], axis=1)
    return _Look(score, information, variance, float(np.sum(misfit)), float(np.sum(noise)))
