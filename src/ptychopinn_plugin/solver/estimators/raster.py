"""The lattice that the positions of a raster scan lie on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Neighbours of each position that the axes are found from.
NEIGHBOURS = 4
# Positions around the middle that are asked for their neighbours.
MIDDLE = 200
# Cosine to an axis above which a step to a neighbour is one along it.
ALONG = 0.7
# In steps: the positions around the middle that the lattice is first fitted to, and how much
# further it is continued each time, so that no position is counted to a wrong node.
FIRST_RADIUS, GROWTH = 2.5, 1.5
# Area of a cell, square pixels, below which there is no lattice.
LEAST_AREA = 1e-6
FEWEST = 9

Positions = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Raster:
    """A lattice fitted to positions.

    Attributes:
        basis_px: float64 (2, 2), a step along each axis, (row, column), object pixels.
        distance_px: rms distance of the positions from their nodes.
    """

    basis_px: Positions
    distance_px: float

    @property
    def step_px(self) -> float:
        """Return the shorter step."""
        return float(np.linalg.norm(self.basis_px, axis=1).min())

    @classmethod
    def of(cls, positions_px: Positions) -> Raster | None:
        """Fit a lattice to positions (n, 2), from the middle outwards; None if there is none."""
        if len(positions_px) < FEWEST:
            return None
        basis = _first_basis(positions_px)
        if basis is None or not _is_basis(basis):
            return None
        from_middle = np.linalg.norm(positions_px - positions_px.mean(axis=0), axis=1)
        origin = positions_px[np.argmin(from_middle)]
        reach = np.linalg.norm(positions_px - origin, axis=1)
        radius = FIRST_RADIUS * float(np.abs(basis).max())
        while True:
            use = reach <= radius
            nodes = _nodes(positions_px, basis, origin)
            fit, *_ = np.linalg.lstsq(nodes[use], positions_px[use], rcond=None)
            basis, origin = fit[:2], fit[2]
            if not _is_basis(basis):
                return None
            if use.all():
                break
            radius *= GROWTH
        rest = positions_px - _nodes(positions_px, basis, origin) @ fit
        return cls(basis, float(np.sqrt(np.mean(np.sum(rest**2, axis=1)))))


def _nodes(positions_px: Positions, basis: Positions, origin: Positions) -> Positions:
    """Return the node nearest to each position and a column of ones, float64 (n, 3)."""
    whole = np.rint((positions_px - origin) @ np.linalg.inv(basis))
    return np.column_stack([whole, np.ones(len(whole))])


def _is_basis(basis: Positions) -> bool:
    return bool(abs(np.linalg.det(basis)) > LEAST_AREA)


def _first_basis(positions_px: Positions) -> Positions | None:
    """Return the median step to neighbours along two perpendicular axes."""
    steps = _steps_to_neighbours(positions_px)
    length = np.linalg.norm(steps, axis=1)
    angles = np.arctan2(steps[:, 0], steps[:, 1])
    # Angles modulo a quarter turn: all four neighbours count alike.
    turn = np.angle(np.mean(np.exp(4j * angles))) / 4
    axes = ((np.sin(turn), np.cos(turn)), (np.cos(turn), -np.sin(turn)))
    basis = []
    for axis in axes:
        along = steps @ np.asarray(axis)
        own = np.abs(along) > ALONG * length
        if not own.any():
            return None
        basis.append(np.median(steps[own] * np.sign(along[own])[:, None], axis=0))
    return np.asarray(basis)


def _steps_to_neighbours(positions_px: Positions) -> Positions:
    """Return the steps from positions near the middle to their nearest neighbours, (k, 2)."""
    middle = np.linalg.norm(positions_px - positions_px.mean(axis=0), axis=1)
    some = positions_px[np.argsort(middle, kind='stable')[:MIDDLE]]
    steps = positions_px[None] - some[:, None]
    nearest = np.argsort(np.sum(steps**2, axis=2), axis=1, kind='stable')[:, 1 : NEIGHBOURS + 1]
    return np.take_along_axis(steps, nearest[:, :, None], axis=1).reshape(-1, 2)
