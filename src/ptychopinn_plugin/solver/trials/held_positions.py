"""Whether positions that were held are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.solver.accelerated import AcceleratedSolver
from ptychopinn_plugin.solver.estimators.affine import AffineChange, look_affine, some_batches
from ptychopinn_plugin.solver.estimators.position_columns import object_slopes
from ptychopinn_plugin.solver.estimators.position_look import (
    FRAME_SHARE,
    HIDDEN_SCALE,
    FrameLook,
    clear_shares,
    look_frames,
    significant,
)
from ptychopinn_plugin.solver.estimators.position_prior import posterior_errors
from ptychopinn_plugin.solver.estimators.position_refinement import PositionRefiner

# Errors by an affine change, root mean square, above which the object is said to be wrong: 0.25 px
# raise the error of an object at 1e6 photons a frame fourfold. Errors of single frames blur it.
WRONG_PX = 0.2
# Errors of single frames below which nothing is said of them.
LEAST_PX = 0.1
ADVICE = 'refine them (update_positions = auto)'

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PositionFault:
    """Errors of the positions.

    Attributes:
        sentence: what the frames show, and what to do.
        is_wrong: whether the object is probably wrong for it.
    """

    sentence: str
    is_wrong: bool


def find_position_fault(solver: AcceleratedSolver) -> PositionFault | None:
    """Return what a part of the frames shows of errors of the positions, None where nothing.

    Args:
        solver: with the result; costs a quarter to a half of a pass. Positions that were refined
            are not looked at again.
    """
    if any(isinstance(one, PositionRefiner) and one.active for one in solver.estimators):
        return None
    problem = solver.problem
    slopes = problem.ops.compiled(object_slopes)(solver.canvas_object)
    chosen, asked = some_batches(problem, solver.passes)
    look = look_frames(solver, slopes, chosen)
    affine = look_affine(solver, slopes, chosen, asked)
    found = significant(affine, clear_shares(affine, look, problem.scan.frame_count))
    common = _affine_fault(solver, np.where(found, affine.step, 0.0)) if found.any() else None
    if common is not None and common.is_wrong:
        return common
    # Errors of single frames have an affine part by chance.
    return _frame_fault(look) or common


def _frame_fault(look: FrameLook) -> PositionFault | None:
    """Return the fault of errors of single frames, None where they do not stand out."""
    if look.share() <= FRAME_SHARE or not look.is_clear():
        return None
    _, width = posterior_errors(look.steps(), look.information, look.variance)
    if width < LEAST_PX:
        return None
    sentence = (
        f'the positions of single frames may be off by {width:.1f} px or more: {ADVICE}, or all '
        'that the frames need (auto = true)'
    )
    return PositionFault(sentence, is_wrong=False)


def _affine_fault(solver: AcceleratedSolver, step: Floats) -> PositionFault:
    """Return the fault of an affine change.

    Args:
        solver: with the result.
        step: float64 (4,), from `AffineLook`, 0 where a number is not significant.
    """
    step[0] *= HIDDEN_SCALE
    change = AffineChange()
    change.add(step)
    positions = solver.problem.scan.positions_px
    moves = (positions - positions.mean(axis=0)) @ change.matrix.T
    off = float(np.sqrt(np.mean(np.sum(moves**2, axis=1))))
    sentence = (
        f'the positions are off by about {off:.1f} px, which a common change explains '
        f'({change.summary()}): {ADVICE}'
    )
    return PositionFault(sentence, is_wrong=off > WRONG_PX)
