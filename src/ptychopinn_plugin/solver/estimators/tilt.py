"""A tilt of the probe that varies along the scan is a phase of the object: it is given to it.

A quadratic phase of the object has a ramp under each frame that depends on its position. A probe
that may vary can take the opposite ramps up, and the frames stay the same. Of these the object with
the least tilt of its probes is chosen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver.estimators.estimator import Solver
from ptychopinn_plugin.solver.unknowns import Unknowns

# Second-order terms y^2, y x, x^2 of the phase, by their powers of (y, x).
POWERS = ((2, 0), (1, 1), (0, 2))
# Pixels beyond the scanned field where the phase is still continued.
EDGE_PX = 4.0

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


def remove_tilt(solver: Solver) -> None:
    """Give the tilt of a varying probe, as far as it is linear in the position, to the object."""
    problem, ops = solver.problem, solver.problem.ops
    basis = problem.frame_values.basis
    assert basis is not None
    weights = np.column_stack([np.ones(len(basis)), basis]).astype(np.float64)
    now = solver.state.now
    parts = np.concatenate([ops.numpy(now.probe)[:1], ops.numpy(now.variation)])
    tilt = _frame_tilts(parts.astype(np.complex128), weights)
    positions = problem.scan.positions_px
    centre, scale = positions.mean(axis=0), float(np.mean(positions.std(axis=0)))
    where = (positions - centre) / scale
    coefficients = _quadratic_phase(where, tilt, scale)
    fitted = _gradient(where, coefficients) / scale
    phase = ops.array(np.exp(1j * _phase(solver, coefficients, centre, scale)).astype(np.complex64))
    placed = ops.array(parts)
    change = _untilted(ops, placed, weights, fitted) - placed
    first, rest = change[:1], change[1:]

    def move(unknowns: Unknowns) -> Unknowns:
        probe = unknowns.probe
        count = probe.shape[0]
        main = probe[:1] + first
        return unknowns._replace(
            canvas_object=unknowns.canvas_object * phase,
            probe=main if count == 1 else ops.join(main, probe[1:], axis=0),
            variation=unknowns.variation + rest,
        )

    solver.transform(move)


def _frame_tilts(parts: Complex, weights: Floats) -> Floats:
    """Return the phase step of each probe less their mean, radians a pixel, float64 (n, 2)."""
    tilts = []
    for ahead, here in ((parts[:, 1:], parts[:, :-1]), (parts[:, :, 1:], parts[:, :, :-1])):
        steps = np.einsum('ayx,byx->ab', ahead, here.conj())
        tilts.append(np.angle(np.sum((weights @ steps) * weights, axis=1)))
    found = np.stack(tilts, axis=1)
    return np.asarray(found - found.mean(axis=0))


def _quadratic_phase(where: Floats, tilt: Floats, scale: float) -> Floats:
    """Return the coefficients of the phase whose gradient fits tilts best, (3,)."""
    columns = [_gradient(where, unit) / scale for unit in np.eye(len(POWERS))]
    design = np.stack([column.ravel() for column in columns], axis=1)
    return np.asarray(np.linalg.lstsq(design, tilt.ravel(), rcond=None)[0])


def _gradient(where: Floats, coefficients: Floats) -> Floats:
    """Return the gradient of the phase at scaled positions, (n, 2)."""
    y, x = where.T
    square, mixed, other = coefficients
    return np.stack([2 * square * y + mixed * x, mixed * y + 2 * other * x], axis=1)


def _phase(solver: Solver, coefficients: Floats, centre: Floats, scale: float) -> Floats:
    """Return the phase at the pixels of the canvas, constant beyond the scanned field."""
    positions, canvas = solver.problem.scan.positions_px, solver.problem.canvas
    low, high = positions.min(axis=0) - EDGE_PX, positions.max(axis=0) + EDGE_PX
    axes = [
        (np.clip(np.arange(side) + canvas.origin_px[axis], low[axis], high[axis]) - centre[axis])
        / scale
        for axis, side in enumerate(canvas.shape)
    ]
    y, x = axes[0][:, None], axes[1][None, :]
    return np.asarray(sum(c * y**a * x**b for c, (a, b) in zip(coefficients, POWERS, strict=True)))


def _untilted(ops: Ops, parts: Array, weights: Floats, tilt: Floats) -> Array:
    """Return mean and variation of the probes after each frame's tilt was taken off.

    Args:
        ops: the framework.
        parts: complex64 (1 + functions, N, N), mean and variation.
        weights: float64 (n, 1 + functions), of the parts in each frame's probe.
        tilt: float64 (n, 2), (row, column), radians a pixel.
    """
    size = parts.shape[-1]
    angles = -tilt[:, :, None] * (np.arange(size) - size // 2)
    inverse = np.linalg.pinv(weights)
    together = max(1, ops.batch_pixels // size**2)
    found = parts * 0
    for first in range(0, len(weights), together):
        some = slice(first, first + together)
        rows, columns = (_ramps(ops, angles[some, axis]) for axis in (0, 1))
        probes = ops.combine(_placed(ops, weights[some]), parts)
        probes = probes * rows[:, :, None] * columns[:, None, :]
        found = found + ops.combine(_placed(ops, inverse[:, some]), probes)
    return found


def _ramps(ops: Ops, angles: Floats) -> Array:
    """Return exp(i angles), complex64, on the device."""
    return ops.polar(_placed(ops, angles))


def _placed(ops: Ops, values: npt.NDArray[np.floating]) -> Array:
    """Bring numbers to the device as float32."""
    return ops.array(np.ascontiguousarray(values, np.float32))
