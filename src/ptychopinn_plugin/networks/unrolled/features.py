"""What the network of a learned stage sees of a canvas, and how its answer is read.

Shared by all backends. The planes hold nothing that depends on the frame size, the scan pattern
or the object's global phase; the dose in photons an object pixel tells the network how much noise
to expect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ptychopinn_plugin.physics.ops import Array, Ops

INPUT_PLANES = 8
OUTPUT_PLANES = 2
COVER_FLOOR = 0.02
SCALE_FLOOR = 1e-4


@dataclass(frozen=True, eq=False)
class Situation:
    """An object as a learned stage finds it.

    Attributes:
        canvas_object: complex64 (H, W).
        direction: complex64 (H, W), preconditioned gradient image of the last pass.
        dose: float32 (H, W), photons an object pixel.
        excess: what its update is measured by in training: the object's held-out deviance above
            the reference's, held off zero.
    """

    canvas_object: Array
    direction: Array
    dose: Array
    excess: float = 1.0


@dataclass(frozen=True, eq=False)
class CanvasPlanes:
    """A canvas as a learned stage sees it.

    Attributes:
        inputs: INPUT_PLANES float32 arrays (H, W).
        phase: complex64 scalar of modulus 1, the object's mean phase.
        scale: float32 (H, W), the error to be expected of the object at each pixel.
        cover: float32 (H, W), about 1 where the dose is high and 0 where no light falls.
    """

    inputs: tuple[Array, ...]
    phase: Array
    scale: Array
    cover: Array

    def updated(self, ops: Ops, canvas_object: Array, outputs: tuple[Array, Array]) -> Array:
        """Return the object after the update that the network asks for.

        Args:
            ops: the framework.
            canvas_object: complex64 (H, W), the object that the planes were made of.
            outputs: real and imaginary part of the update, float32 (H, W), in units of `scale`.
        """
        size = self.scale * self.cover
        real, imag = outputs
        return canvas_object + ops.complex(real * size, imag * size) * self.phase


def canvas_planes(ops: Ops, canvas_object: Array, direction: Array, dose: Array) -> CanvasPlanes:
    """Prepare a canvas for the network.

    Args:
        ops: the framework.
        canvas_object: complex64 (H, W).
        direction: complex64 (H, W), the preconditioned gradient image of the last pass.
        dose: float32 (H, W), photons an object pixel.
    """
    cover = covered_pixels(ops, dose)
    covered = ops.sum(cover)
    total = ops.sum(ops.scale(canvas_object, cover))
    phase = ops.scale(total, 1 / (ops.sqrt(ops.abs2(total)) + SCALE_FLOOR))
    noise = 1 / ops.sqrt(1 + dose)
    misfit = ops.sum(ops.abs2(direction) * cover) / covered
    scale = ops.sqrt(misfit + noise * noise + SCALE_FLOOR**2)
    turned = canvas_object * ops.conj(phase)
    slope = ops.scale(direction * ops.conj(phase), 1 / scale)
    inputs = (
        ops.real(turned) - 1,
        ops.imag(turned),
        ops.real(slope),
        ops.imag(slope),
        noise * 3,
        cover,
        ops.log(scale) / 2,
        noise / scale,
    )
    return CanvasPlanes(inputs, phase, scale, cover)


def covered_pixels(ops: Ops, dose: Array) -> Array:
    """Return about 1 where the dose is high and 0 where no light falls, float32 (H, W)."""
    return dose / (dose + COVER_FLOOR * ops.max(dose))


def mean_log10_dose(ops: Ops, dose: Array) -> float:
    """Return log10 of the mean dose over the covered canvas, photons an object pixel."""
    return math.log10(max(ops.number(ops.compiled(_mean_dose)(dose)), 1e-6))


def _mean_dose(ops: Ops, dose: Array) -> Array:
    cover = covered_pixels(ops, dose)
    return ops.sum(dose * cover) / ops.sum(cover)
