"""Constraints of a probe: projections that are applied after each of its updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array, Ops


class ProbeConstraint(Protocol):
    """A set that a probe must stay in."""

    def project(self, ops: Ops, probe: Array) -> Array:
        """Return the nearest probe of the set, complex64 (modes, N, N).

        Args:
            ops: the framework.
            probe: complex64 (modes, N, N), centred on N//2.
        """
        ...


@dataclass(frozen=True)
class ProbeSupport:
    """A probe that is zero outside a disc around pixel N//2.

    Attributes:
        radius: of the disc, as a fraction of the side N.
    """

    radius: float

    def project(self, ops: Ops, probe: Array) -> Array:
        """Return the probe, zero outside the disc."""
        return ops.scale(probe, ops.array(disc(probe.shape[-1], self.radius)))


def disc(size: int, radius: float) -> npt.NDArray[np.float32]:
    """Return 1 within a distance of pixel N//2 and 0 outside, float32 (N, N).

    Args:
        size: side N.
        radius: as a fraction of N.
    """
    y, x = np.mgrid[:size, :size] - size // 2
    return np.asarray(np.hypot(y, x) <= size * radius, np.float32)
