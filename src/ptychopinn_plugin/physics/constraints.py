"""Constraints of probe and object: projections that are applied after each of their updates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array, Ops

TINY = 1e-30
# Beyond a right angle the sine falls again: from 1e-6 rad on, the phase goes to the limit.
STEEP = 1e6


class ProbeConstraint(Protocol):
    """A set that a probe must stay in.

    Attributes:
        linear: whether the set is a linear space, which the changes of a varying probe stay in too.
    """

    linear: ClassVar[bool]

    def project(self, ops: Ops, probe: Array) -> Array:
        """Return the nearest probe of the set, complex64 (modes, N, N).

        Args:
            ops: the framework.
            probe: complex64 (modes, N, N), centred on N//2.
        """
        ...


class ObjectConstraint(Protocol):
    """A set that an object must stay in."""

    def project(self, ops: Ops, canvas_object: Array) -> Array:
        """Return an object of the set, complex64 (H, W).

        Args:
            ops: the framework.
            canvas_object: complex64 (H, W).
        """
        ...


@dataclass(frozen=True)
class ProbeSupport:
    """A probe that is zero outside a disc around pixel N//2.

    Attributes:
        radius: of the disc, as a fraction of the side N.
    """

    radius: float
    linear: ClassVar[bool] = True

    def project(self, ops: Ops, probe: Array) -> Array:
        """Return the probe, zero outside the disc."""
        return ops.scale(probe, ops.array(disc(probe.shape[-1], self.radius)))


@dataclass(frozen=True)
class ProbeFourierSupport:
    """A probe whose Fourier transform is zero outside a disc around the zero frequency.

    Attributes:
        radius: of the disc at the detector, as a fraction of the side N.
    """

    radius: float
    linear: ClassVar[bool] = True

    def project(self, ops: Ops, probe: Array) -> Array:
        """Return the probe without the frequencies outside the disc."""
        inside = np.fft.ifftshift(disc(probe.shape[-1], self.radius))
        return ops.ifft2(ops.scale(ops.fft2(probe), ops.array(inside)))


@dataclass(frozen=True)
class AmplitudeLimits:
    """An object whose amplitude has limits; its phase stays.

    Attributes:
        lowest: amplitude.
        highest: amplitude, 0 for no limit.
    """

    lowest: float
    highest: float

    def project(self, ops: Ops, canvas_object: Array) -> Array:
        """Return the object, each pixel scaled into the limits; 0 has no phase and stays 0."""
        amplitude = ops.sqrt(ops.abs2(canvas_object))
        limited = amplitude + ops.positive(self.lowest - amplitude)
        if self.highest:
            limited = limited - ops.positive(limited - self.highest)
        return ops.scale(canvas_object, limited / (amplitude + TINY))


@dataclass(frozen=True)
class PhaseLimits:
    """An object whose phase has limits, at most pi apart; its amplitude stays.

    Attributes:
        lowest: phase, radians.
        highest: phase, radians.
    """

    lowest: float
    highest: float

    def project(self, ops: Ops, canvas_object: Array) -> Array:
        """Return the object, each pixel turned to the nearer limit where it is outside."""
        middle, half = (self.lowest + self.highest) / 2, (self.highest - self.lowest) / 2
        turn, back = (np.asarray(np.exp(sign * 1j * middle), np.complex64) for sign in (1, -1))
        turned = canvas_object * ops.array(back)
        real, imag = ops.real(turned), ops.imag(turned)
        amplitude = ops.sqrt(ops.abs2(turned))
        size = ops.positive(imag) + ops.positive(-imag)
        # What is inside is not computed anew from its cosine, which would round it.
        most = amplitude * math.sin(half)
        within = size - ops.positive(size - most)
        behind = STEEP * ops.positive(-real) / (amplitude + TINY)
        behind = behind - ops.positive(behind - 1)
        limited = ops.complex(
            real + ops.positive(amplitude * math.cos(half) - real),
            (within + behind * (most - within)) * imag / (size + TINY),
        )
        return limited * ops.array(turn)


def disc(size: int, radius: float) -> npt.NDArray[np.float32]:
    """Return 1 within a distance of pixel N//2 and 0 outside, float32 (N, N).

    Args:
        size: side N.
        radius: as a fraction of N.
    """
    y, x = np.mgrid[:size, :size] - size // 2
    return np.asarray(np.hypot(y, x) <= size * radius, np.float32)
