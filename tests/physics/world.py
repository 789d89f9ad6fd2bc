"""A small experiment and its physics in explicit matrices, float64, apart from the package's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.forward import (
    expected_counts,
    propagate,
    shift_ramps,
    shifted_probes,
)
from ptychopinn_plugin.physics.ops import Array, Ops
from tests.helpers import make_object, make_probe

Values = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class World:
    """A complex, asymmetric probe and object, and a few overlapping patches.

    Attributes:
        probe: complex64 (modes, N, N).
        canvas_object: complex64 (H, W), oblong.
        corners: int64 (n, 2).
        shifts_px: float32 (n, 2), up to half a pixel either way.
    """

    probe: Values
    canvas_object: Values
    corners: Values
    shifts_px: Values

    @property
    def size(self) -> int:
        return int(self.probe.shape[-1])

    @property
    def patches(self) -> Values:
        """The patches, cut one by one."""
        n = self.size
        return np.stack([self.canvas_object[r : r + n, c : c + n] for r, c in self.corners])

    def in_double(self) -> World:
        return World(
            self.probe.astype(np.complex128),
            self.canvas_object.astype(np.complex128),
            self.corners,
            self.shifts_px.astype(np.float64),
        )


def make_world(size: int = 20, modes: int = 2, frames: int = 5, photons: float = 1e4) -> World:
    rng = np.random.default_rng(size)
    shape = (size + 7, size + 11)
    return World(
        make_probe(size, modes, photons),
        make_object(shape, seed=4),
        np.stack([rng.integers(0, 8, frames), rng.integers(0, 12, frames)], axis=1),
        rng.uniform(-0.5, 0.5, (frames, 2)).astype(np.float32),
    )


def dft_matrix(size: int) -> Values:
    """Return the unitary Fourier matrix, zero frequency first."""
    index = np.arange(size)
    return np.asarray(np.exp(-2j * np.pi * np.outer(index, index) / size) / np.sqrt(size))


def shift_matrix(size: int, shift_px: float) -> Values:
    """Return the matrix that moves a band-limited signal towards higher indices."""
    dft = dft_matrix(size)
    cycles = (np.arange(size) + size // 2) % size - size // 2
    ramp = np.exp(-2j * np.pi * cycles * shift_px / size)
    return np.asarray(dft.conj().T @ np.diag(ramp) @ dft)


def explicit_probes(world: World) -> Values:
    """Return the shifted probes, (n, modes, N, N), by matrices."""
    rows = [shift_matrix(world.size, float(shift)) for shift in world.shifts_px[:, 0]]
    columns = [shift_matrix(world.size, float(shift)) for shift in world.shifts_px[:, 1]]
    return np.stack([r @ world.probe @ c.T for r, c in zip(rows, columns, strict=True)])


def explicit_counts(world: World) -> Values:
    """Return the expected counts, (n, N, N), by matrices."""
    dft = dft_matrix(world.size)
    waves = dft @ (explicit_probes(world) * world.patches[:, None]) @ dft.T
    return np.asarray(np.sum(np.abs(waves) ** 2, axis=1))


def make_ramps(ops: Ops, world: World) -> tuple[Array, Array]:
    return shift_ramps(ops, ops.array(world.shifts_px), world.size)


def make_waves(ops: Ops, world: World) -> Array:
    """Return the package's waves at the detector."""
    probes = shifted_probes(ops, ops.array(world.probe), make_ramps(ops, world))
    patches = ops.cut(ops.array(world.canvas_object), ops.array(world.corners), world.size)
    return propagate(ops, probes, patches)


def make_counts(ops: Ops, world: World) -> Array:
    """Return the package's expected counts."""
    return expected_counts(ops, make_waves(ops, world))


def relative(found: Values, wanted: Values) -> float:
    """Return the largest difference over the largest wanted value."""
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())
