"""The object of a solver, changed by a network."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.networks.run_result import covered_pixels
from ptychopinn_plugin.networks.stage import Stage
from ptychopinn_plugin.networks.unrolled.scan_gate import measure_gate
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver import AcceleratedSolver

logger = logging.getLogger(__name__)

# The pass after which the early network changes the object. Once is better than more often: later
# on it removes details that the passes have found.
EARLY_PASS = 2


@dataclass(frozen=True, eq=False)
class NetworkUpdate:
    """What a network changed in the object of a solver.

    Attributes:
        remark: a sentence: how much of its update was taken, or why none.
        residual: of the changed object; None where it is as it was.
        change: complex64 (H, W) on the whole canvas, in the scale of the solver's object; None
            where it is as it was, and in other processes than the first one.
    """

    remark: str
    residual: float | None = None
    change: npt.NDArray[np.complex64] | None = None


def apply_unchecked(solver: AcceleratedSolver, stage: Stage) -> str:
    """Change an unfinished object, for further passes to check; return a remark.

    Args:
        solver: between two passes.
        stage: of a network for unfinished objects.
    """
    partition = solver.problem.partition
    update = stage(*_whole_inputs(solver)) if partition.is_first else None
    solver.set_object(solver.constrained(partition.part(update)))
    return f'a network changed the unfinished object after iteration {solver.passes}'


def apply_checked(
    solver: AcceleratedSolver, stage: Stage, gate_ops: Ops, reflections: int, before: float
) -> NetworkUpdate:
    """Change an object by as much of a network's update as held-out photons support.

    Args:
        solver: after its last pass.
        stage: of the network.
        gate_ops: for the reconstructions with photons held out.
        reflections: how many the object started from; 0 where it started from none.
        before: residual of the object.
    """
    partition, reached = solver.problem.partition, solver.canvas_object
    wholes = _whole_inputs(solver)
    update = stage(*wholes) if partition.is_first else None
    if partition.on_first(lambda: update is wholes[0]):
        return NetworkUpdate('the network was not used: it gains nothing at this dose')
    gate = partition.on_first(lambda: measure_gate(gate_ops, solver, stage, reflections))
    if gate.factor == 0:
        return NetworkUpdate(gate.remark)
    ops, factor = solver.problem.ops, np.array(gate.factor, np.float32)
    updated = partition.part(update)
    changed = reached + ops.scale(updated - reached, ops.array(factor))
    return _with_object(solver, changed, before, gate.remark)


def _whole_inputs(solver: AcceleratedSolver) -> list[Array]:
    """Return what a stage maps, of the whole canvas; all processes take part.

    A network uses a large surrounding of each pixel.
    """
    partition = solver.problem.partition
    parts = (solver.canvas_object, *solver.present_direction())
    return [partition.whole(one) for one in parts]


def _with_object(
    solver: AcceleratedSolver, changed: Array, before: float, remark: str
) -> NetworkUpdate:
    """Take another object; revert it if the residual rises by more than noise.

    Removing the noise that physics fitted raises the misfit by about that of one parameter for
    each real number fitted, two a covered pixel; a larger rise is an error of the network.
    """
    problem, state, reached = solver.problem, solver.state, solver.canvas_object
    partition = problem.partition
    solver.set_object(solver.constrained(changed))
    after = solver.residual()
    dose = partition.whole(problem.dose(solver.probe))
    covered = partition.on_first(lambda: covered_pixels(problem.ops.numpy(dose)))
    allowed = problem.noise.misfit_per_parameter * 2 * covered / max(problem.total_counts, 1e-30)
    if after > before + allowed:
        solver.state = state
        refused = (
            f'the network was not used: it would raise the residual from {before:.5f} to '
            f'{after:.5f}, more than noise explains ({allowed:.5f})'
        )
        logger.warning('%s', refused)
        return NetworkUpdate(refused)
    # With its constraints.
    change = partition.whole(solver.canvas_object - reached)
    return NetworkUpdate(remark, after, problem.ops.numpy(change) if partition.is_first else None)
