"""One affine change of all positions: scale, rotation, aspect and shear.

Found with the object moving along. An object that stays where it is holds the positions back, and
frames that move one by one would never show it; inside each frame, however, the object is then
scaled, turned or sheared against the probe, and in all frames alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform

from ptychopinn_plugin.physics.ops import Array, fourier_frequencies
from ptychopinn_plugin.saved_state import Stateful
from ptychopinn_plugin.solver.batches import FrameBatch, Frames
from ptychopinn_plugin.solver.estimators.estimator import Solver
from ptychopinn_plugin.solver.estimators.position_columns import (
    COLUMNS,
    Geometry,
    affine_sums,
    strong_modes,
)
from ptychopinn_plugin.solver.problem import Problem
from ptychopinn_plugin.solver.sweeps import DeviceBatch

# Frames that are asked: four numbers need no more than a quarter of some hundred (measured), and
# the noise of this many is far below any change that matters.
SHARE_OF_FRAMES, MOST_FRAMES = 0.25, 512
# Relative ridge of the normal equations, above the rounding of float32 columns.
RIDGE = 1e-6
TINY = 1e-30

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AffineLook:
    """Steps of scale, rotation, aspect and shear, and how clear each is.

    Attributes:
        step: float64 (4,), each to be added.
        significance: float64 (4,), chi-squared of each, above 1 by chance only.
        gain: float64 (4,), misfit of all frames that each one would take away.
    """

    step: Floats
    significance: Floats
    gain: Floats


@dataclass(eq=False)
class AffineChange(Stateful):
    """The change so far: a position p, from the centre, lies at p + matrix p.

    Attributes:
        matrix: float64 (2, 2), (row, column).
    """

    saved_fields: ClassVar = ('matrix',)

    matrix: Floats = field(default_factory=lambda: np.zeros((2, 2)))

    def add(self, step: Floats) -> Floats:
        """Add scale, rotation, aspect and shear, (4,); return the step as a matrix, (2, 2)."""
        scale, rotation, aspect, shear = step
        change = np.array([[scale + aspect, shear + rotation], [shear - rotation, scale - aspect]])
        self.matrix = change + self.matrix + change @ self.matrix
        return change

    @property
    def scale(self) -> float:
        """Factor of all distances."""
        return 1 + float(self.matrix[0, 0] + self.matrix[1, 1]) / 2

    @property
    def rotation_deg(self) -> float:
        """Angle from the axis of the columns to that of the rows, degrees."""
        return math.degrees(float(self.matrix[0, 1] - self.matrix[1, 0]) / 2)

    @property
    def aspect(self) -> float:
        """Half the relative difference of the scales along rows and columns."""
        return float(self.matrix[0, 0] - self.matrix[1, 1]) / 2

    @property
    def shear(self) -> float:
        """Half the loss of the angle between the axes, radians."""
        return float(self.matrix[0, 1] + self.matrix[1, 0]) / 2

    def summary(self) -> str:
        """Return the four numbers in words."""
        return (
            f'scale {self.scale:.4f}, rotation {self.rotation_deg:+.2f} deg, '
            f'aspect {self.aspect:+.4f}, shear {self.shear:+.4f}'
        )


def look_affine(
    solver: Solver, slopes: tuple[Array, Array], chosen: Sequence[FrameBatch], asked: int
) -> AffineLook:
    """Fit the affine change to a part of the frames.

    Args:
        solver: at its present state.
        slopes: from `object_slopes`.
        chosen: the frames of this process, from `some_batches`.
        asked: how many they are in all processes.
    """
    problem, ops, now = solver.problem, solver.problem.ops, solver.state.now
    geometry, modes = _geometry(problem, now.probe), strong_modes(ops, now.probe)

    def add(sums: Floats, _: FrameBatch, placed: DeviceBatch) -> Floats:
        found = ops.compiled(affine_sums)(
            now, slopes, placed, problem.good, geometry, problem.noise, modes
        )
        score, spread, products = ([ops.number(x) for x in some] for some in found)
        sums[0] += score
        sums[1] += spread
        sums[2:][np.triu_indices(COLUMNS)] += products
        return sums

    parts = problem.partial_sums(chosen, now, lambda: np.zeros((2 + COLUMNS, COLUMNS)), add)
    sums = problem.partition.total_values(sum(parts[1:], parts[0]))
    score, spread, matrix = sums[0], sums[1], sums[2:] + np.triu(sums[2:], 1).T
    return _solved(score, matrix, spread, asked / problem.scan.frame_count)


def warp(image: npt.NDArray[np.complex64], change: Floats, centre: Floats) -> Array:
    """Return an image whose content moves with positions, complex64 (H, W), by cubic splines.

    Args:
        image: complex64 (H, W).
        change: float64 (2, 2), from `AffineChange.add`.
        centre: float64 (2,), the pixel that stays.
    """
    inverse = np.linalg.inv(np.eye(2) + change)
    offset = centre - inverse @ centre
    moved = affine_transform(image, inverse, offset, order=3, mode='nearest')
    return np.asarray(moved, np.complex64)


def _geometry(problem: Problem, probe: Array) -> Geometry:
    """Return the coordinates from the probe's centre of light."""
    ops = problem.ops
    light = np.sum(np.abs(ops.numpy(probe)).astype(np.float64) ** 2, axis=0)
    pixels = np.arange(len(light))
    total = max(float(light.sum()), TINY)
    centre = [float(light.sum(axis=axis) @ pixels) / total for axis in (1, 0)]
    f = fourier_frequencies(len(light)).astype(np.float64)
    squares, mixed = np.broadcast_to(f[:, None] ** 2, light.shape), f[:, None] * f
    phases = 1j * np.stack([squares, squares.T, mixed])
    return Geometry(
        ops.array((pixels - centre[0]).astype(np.float32)[:, None]),
        ops.array((pixels - centre[1]).astype(np.float32)[None]),
        ops.array(phases.astype(np.complex64)),
        ops.array((squares + squares.T).astype(np.float32)),
    )


def some_batches(problem: Problem, seed: int) -> tuple[list[FrameBatch], int]:
    """Return batches at random until they hold enough frames, and how many they hold.

    Others after each pass, and in each process those of its frames.
    """
    wanted = min(SHARE_OF_FRAMES * problem.scan.frame_count, MOST_FRAMES)

    def choose(batches: list[Frames]) -> list[int]:
        chosen: list[int] = []
        held = 0
        for index in np.random.default_rng(seed).permutation(len(batches)):
            # The nearest number of frames to that wanted, and one batch at least.
            if chosen and held + len(batches[index]) / 2 > wanted:
                break
            chosen.append(int(index))
            held += len(batches[index])
        return chosen

    return problem.frames.some_batches(choose)


def _solved(score: Floats, matrix: Floats, spread: Floats, share: float) -> AffineLook:
    """Solve the normal equations of a share of the frames."""
    unit = 1 / np.sqrt(np.maximum(np.diag(matrix), TINY))
    noise = float(np.mean(spread * unit**2))
    inverse = np.linalg.inv(matrix * unit[:, None] * unit + RIDGE * np.eye(len(unit)))
    step = ((inverse @ (score * unit)) * unit)[:4]
    variance = (np.diag(inverse) * unit**2)[:4]
    taken = step**2 / np.maximum(variance, TINY)
    gain = np.maximum(taken - noise, 0) / share
    return AffineLook(step, taken / max(noise, TINY), gain)
