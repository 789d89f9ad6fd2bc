"""Refinement of the scan positions between passes.

A position is the nominal one, moved by one affine change of all (see `affine`), plus an error of
its own. A frame's error is a Gauss-Newton step on the modulus at the detector, shrunk by a prior
whose width all frames give together (see `position_prior`); where no error stands out of the noise,
nothing moves. Asked to decide (`auto`), the refiner changes nothing until positions explain a share
of the misfit that other faults do not mimic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.solver.estimators.affine import (
    AffineChange,
    AffineLook,
    look_affine,
    some_batches,
    warp,
)
from ptychopinn_plugin.solver.estimators.estimator import Estimator, Solver
from ptychopinn_plugin.solver.estimators.position_columns import object_slopes
from ptychopinn_plugin.solver.estimators.position_look import (
    AFFINE_SHARE,
    FIRST_FRAME_SHARE,
    FRAME_SHARE,
    HIDDEN_SCALE,
    FrameLook,
    clear_shares,
    look_frames,
    significant,
)
from ptychopinn_plugin.solver.estimators.position_prior import posterior_errors, without_affine

# Pixels around the patches where frames may move to.
MARGIN_PX = 8
# Passes before the first look: the object must be there and the probe must have moved.
FIRST_PASS = 4
# Looks of `auto`, as long as nothing is significant; other passes cost nothing.
LOOKS = (4, 6, 9, 13)
# Further looks where a scale was found: the rest of it shows once the object is sharp.
LATE_LOOKS = (16, 19, 24, 30, 36)
# Passes with another noise model before a look: where pixels hold few counts, object and probe of
# amplitudes look like a wrong scale to a Poisson model, by up to 0.014 after one pass.
PASSES_TO_SETTLE = 2
# Change, root mean square, below which frames are looked at after every second pass only: from
# 0.02 px on, a fifth more looks gave the same errors; with every second pass from the first look
# on, errors of 1.5 px were left off by up to 0.068 px instead of 0.052.
SETTLED_PX = 0.1
# Change below which they are looked at after every fourth pass only: errors of 0.5 and 1.5 px were
# left off by up to 0.002 px more.
STILL_PX = 0.02
# Least share of the misfit above noise that one number of the affine change must explain to be
# changed; a first step of the scale needs as much as a start.
AFFINE_STEP_SHARE = 0.0005
# Largest step in object pixels: so far the modulus is linear in a shift.
LARGEST_STEP_PX = 0.5
# Smooth errors, which the object follows, vanish slowly. Momentum of 0.7 overshoots; from pass 6 on
# it keeps errors of 0.5 px from settling.
MOMENTUM, MOMENTUM_FROM = 0.5, 11
# Largest element of the affine change: more is no error of a stage, but another fault.
LARGEST_CHANGE = 0.1
# Relative change of all distances above rounding.
LEAST_SCALE = 1e-6

Floats = npt.NDArray[np.float64]


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
        frame_share: share of the misfit above noise that moves explained at the last look.
        affine_share: share of the misfit that one affine number explained at the last look.
    """

    saved_fields: ClassVar = (
        'active',
        'reason',
        'sigma_px',
        'affine',
        'frame_share',
        'affine_share',
        '_errors',
        '_last_errors',
        '_next_pass',
        '_affine_seen',
        '_scale_moves',
        '_affine_moves',
        '_looked',
        '_noise',
        '_noise_from',
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
    _last_errors: Floats | None = None
    _next_pass: int = FIRST_PASS
    _affine_seen: bool = False
    _scale_moves: bool = False
    _affine_moves: bool = False
    _looked: int = 0
    _noise: str = ''
    _noise_from: int = 0

    def after_pass(self, solver: Solver) -> None:
        """Look at the frames and move them."""
        passes = _passes(solver)
        self._follow_noise(solver)
        continues = solver.passes == 1 and solver.passes_before > 0
        if continues:
            self._continue(solver)
        if not self._is_due(passes):
            return
        slopes = solver.problem.ops.compiled(object_slopes)(solver.canvas_object)
        look = look_frames(solver, slopes, solver.problem.batches())
        if continues:
            self._take_errors(solver, look)
        affine = None
        if self._is_affine_due(passes):
            affine = look_affine(solver, slopes, *some_batches(solver.problem, passes))
        if self._awaits_look(passes):
            self._looked = passes
        self.frame_share = look.share()
        if affine is not None:
            self._look_at_all(affine, look)
        if not self.active:
            self._decide(look, passes)
        if self.active:
            self._move(solver, affine, look)

    def _move(self, solver: Solver, affine: AffineLook | None, look: FrameLook) -> None:
        """Move the frames, and look again after the next pass or, as they settle, a later one."""
        if affine is not None:
            self._move_all(solver, affine, look)
        if self.constraint != 'affine':
            self._move_each(solver, look)
        before, now = solver.problem.positions_px, self._positions(solver)
        change = float(np.sqrt(np.mean(np.sum((now - before) ** 2, axis=1))))
        self._next_pass = _passes(solver) + _passes_to_next(change)
        solver.move_frames(now)

    def _continue(self, solver: Solver) -> None:
        """Go on with what earlier passes decided, where they could decide."""
        earlier = solver.problem.scan.metadata.history
        if earlier.moves_frames:
            self.active, self.reason = True, 'positions are refined as before'
        if earlier.moves_frames or earlier.automatic:
            # Another look at an affine change would follow the noise of what is left of it.
            self._looked = solver.passes_before

    def _take_errors(self, solver: Solver, look: FrameLook) -> None:
        """Start at the errors that earlier passes have found, where nominal positions are known."""
        nominal = _nominal(solver)
        errors, from_centre = solver.problem.positions_px - nominal, nominal - _centre(solver)
        if not errors.any():
            return
        # The same part is common to all as in these passes, which gave it to the object too.
        self._errors = without_affine(errors, look.information, from_centre)
        fitted, *_ = np.linalg.lstsq(from_centre, errors - self._errors, rcond=None)
        self.affine.matrix = np.asarray(fitted.T, np.float64)
        self._scale_moves = abs(self.affine.scale - 1) > LEAST_SCALE

    def _look_at_all(self, affine: AffineLook, look: FrameLook) -> None:
        """Record what the frames show of an affine change."""
        shares = clear_shares(affine, look, len(look.score))
        found = significant(affine, shares)
        self.affine_share = float(np.max(shares))
        self._affine_seen |= bool(found.any())

    def remarks(self) -> tuple[str, ...]:
        """Return the common change of the positions and the errors of single frames."""
        if not self.active:
            return ()
        change, parts = self.affine, []
        if change.matrix.any():
            parts.append(change.summary())
        if self.constraint != 'affine':
            parts.append(f'errors of single frames {self.sigma_px:.2f} px')
        return (f'positions were refined: {", ".join(parts) or "no affine change was found"}',)

    def _is_due(self, passes: int) -> bool:
        if self.active or self.mode == 'on':
            return passes >= self._next_pass or self._awaits_look(passes)
        return self._awaits_look(passes)

    def _is_affine_due(self, passes: int) -> bool:
        """Return whether the affine change still moved, or may not have shown yet."""
        if self.constraint == 'no_affine' or not self._is_settled(passes):
            return False
        return self._affine_moves or self._awaits_look(passes)

    def _awaits_look(self, passes: int) -> bool:
        """Return whether a look was due since the last one."""
        looks = (*LOOKS, *LATE_LOOKS) if self._scale_moves else LOOKS
        return self._is_settled(passes) and any(self._looked < one <= passes for one in looks)

    def _is_settled(self, passes: int) -> bool:
        """Return whether object and probe were fitted with the present noise model."""
        return not self._noise_from or passes >= self._noise_from + PASSES_TO_SETTLE

    def _follow_noise(self, solver: Solver) -> None:
        """Record after which pass the noise model changed."""
        name = solver.problem.noise.name
        if self._noise and name != self._noise:
            self._noise_from = _passes(solver)
        self._noise = name

    def _decide(self, look: FrameLook, passes: int) -> None:
        """Start where positions, and not something else, explain the misfit."""
        enough = FIRST_FRAME_SHARE if passes == FIRST_PASS else FRAME_SHARE
        moves = self.constraint != 'affine'
        single = moves and self.frame_share > enough and look.is_clear()
        self.active = self.mode == 'on' or single or self._affine_seen
        if self.mode == 'on':
            self.reason = 'positions are refined as asked'
            return
        decision = 'positions are refined' if self.active else 'positions are left alone'
        self.reason = (
            f'{decision}: after pass {passes}, errors of single frames explain '
            f'{max(self.frame_share, 0):.1%} of the misfit above noise ({enough:.1%} needed), '
            f'a common scale, rotation, aspect or shear {self.affine_share:.1%} '
            f'({", ".join(f"{share:.1%}" for share in AFFINE_SHARE)} needed)'
        )

    def _move_all(self, solver: Solver, affine: AffineLook, look: FrameLook) -> None:
        """Change all positions at once, the object moving along."""
        shares = clear_shares(affine, look, len(look.score))
        starts = not self._scale_moves
        kept = shares > AFFINE_STEP_SHARE
        kept[0] &= significant(affine, shares)[0] or not starts
        self._scale_moves |= bool(kept[0])
        step = np.where(kept, affine.step, 0.0)
        if starts:
            step[0] *= HIDDEN_SCALE
        largest = float(np.max(np.abs(self.affine.matrix))) + float(np.max(np.abs(step)))
        self._affine_moves = bool(kept.any()) and largest < LARGEST_CHANGE
        if self._affine_moves:
            self._warp(solver, self.affine.add(step))

    def _warp(self, solver: Solver, change: Floats) -> None:
        problem, ops = solver.problem, solver.problem.ops
        partition = problem.partition
        centre = _centre(solver) - np.asarray(partition.whole_canvas.origin_px)

        def moved(canvas_object: Array) -> Array:
            return ops.array(warp(ops.numpy(canvas_object), change, centre))

        solver.move_object(lambda image: partition.on_whole(moved, image))

    def _move_each(self, solver: Solver, look: FrameLook) -> None:
        """Estimate the error of every frame."""
        nominal = _nominal(solver)
        errors = np.zeros_like(nominal) if self._errors is None else self._errors
        steps = np.clip(look.steps(), -LARGEST_STEP_PX, LARGEST_STEP_PX)
        if self._last_errors is not None and _passes(solver) >= MOMENTUM_FROM:
            steps += MOMENTUM * (errors - self._last_errors)
        self._last_errors = errors
        estimates = errors + steps
        own = without_affine(estimates, look.information, nominal - _centre(solver))
        self._errors, self.sigma_px = posterior_errors(
            own, look.information, look.variance, _least_width(solver)
        )

    def _positions(self, solver: Solver) -> Floats:
        """Return where the frames lie, float64 (n, 2), object pixels."""
        nominal = _nominal(solver)
        moved = nominal + (nominal - _centre(solver)) @ self.affine.matrix.T
        return moved if self._errors is None else moved + self._errors


def _passes(solver: Solver) -> int:
    """Return the passes that the object comes from, those of earlier reconstructions included."""
    return solver.passes_before + solver.passes


def _passes_to_next(change_px: float) -> int:
    """Return how many passes after a look the next one is due, from what the last one changed."""
    if change_px > SETTLED_PX:
        return 1
    return 2 if change_px > STILL_PX else 4


def _least_width(solver: Solver) -> float:
    """Return the width of errors that were found from positions that are not known any more.

    What is left of them is narrower and would hold the frames where they are.
    """
    scan = solver.problem.scan
    forgotten = solver.passes_before and scan.estimates.nominal_positions_px is None
    return scan.metadata.history.position_errors_px if forgotten else 0.0


def _centre(solver: Solver) -> Floats:
    return np.asarray(_nominal(solver).mean(axis=0))


def _nominal(solver: Solver) -> Floats:
    """Return the positions before any were refined, float64 (n, 2), object pixels.

    Those of the scan, or where earlier passes have refined these, those that they began with.
    """
    scan = solver.problem.scan
    known = scan.estimates.nominal_positions_px if solver.passes_before else None
    return scan.positions_px if known is None else known
