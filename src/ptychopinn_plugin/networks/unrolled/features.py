"""Input features of the learned stage, and how its outputs change the object.

Shared by all backends. The features hold nothing that depends on the frame size, the scan pattern
or the object's global phase; from the dose in photons an object pixel the network knows how much
noise to expect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ptychopinn_plugin.physics.ops import Array, Ops

INPUT_CHANNELS = 8
OUTPUT_CHANNELS = 2
# Relative to the largest dose: pixels with much less light are beyond the scan and keep their
# values, for nothing there ties an update to the frames.
COVERAGE_FLOOR = 0.02
# Keeps divisions finite; as large as the noise at a dose of 10^8 photons an object pixel.
SCALE_FLOOR = 1e-4


@dataclass(frozen=True, eq=False)
class StageInput:
    """An object on its canvas, before a learned stage.

    Attributes:
        canvas_object: complex64 (H, W).
        direction: complex64 (H, W), preconditioned gradient image of the last pass.
        dose: float32 (H, W), photons an object pixel.
        excess: unit of the training loss: how far the held-out deviance of the object is from
            that of the reference, positive.
    """

    canvas_object: Array
    direction: Array
    dose: Array
    excess: float = 1.0


@dataclass(frozen=True, eq=False)
class StageFeatures:
    """Input channels of the network, and what converts its outputs to an update.

    Attributes:
        channels: INPUT_CHANNELS float32 arrays (H, W).
        phase: complex64 scalar of modulus 1, the object's mean phase.
        scale: float32 (H, W), the expected error of the object at each pixel.
        coverage: float32 (H, W), about 1 where the dose is high and 0 without light.
    """

    channels: tuple[Array, ...]
    phase: Array
    scale: Array
    coverage: Array

    def update_object(self, ops: Ops, canvas_object: Array, outputs: tuple[Array, Array]) -> Array:
        """Return the object after the network's update.

        Args:
            ops: the framework.
            canvas_object: complex64 (H, W), the object that the features were computed from.
            outputs: real and imaginary part of the update, float32 (H, W), in units of `scale`.
        """
        size = self.scale * self.coverage
        real, imag = outputs
        return canvas_object + ops.complex(real * size, imag * size) * self.phase


def compute_features(
    ops: Ops, canvas_object: Array, direction: Array, dose: Array
) -> StageFeatures:
    """Compute the features of a canvas.

    Args:
        ops: the framework.
        canvas_object: complex64 (H, W).
        direction: complex64 (H, W), the preconditioned gradient image of the last pass.
        dose: float32 (H, W), photons an object pixel.
    """
    coverage = relative_coverage(ops, dose)
    covered = ops.sum(coverage)
    total = ops.sum(ops.scale(canvas_object, coverage))
    phase = ops.scale(total, 1 / (ops.sqrt(ops.abs2(total)) + SCALE_FLOOR))
    noise = 1 / ops.sqrt(1 + dose)
    misfit = ops.sum(ops.abs2(direction) * coverage) / covered
    scale = ops.sqrt(misfit + noise * noise + SCALE_FLOOR**2)
    rotated = canvas_object * ops.conj(phase)
    gradient = ops.scale(direction * ops.conj(phase), 1 / scale)
    # The factors bring all channels to values of about 1.
    channels = (
        ops.real(rotated) - 1,
        ops.imag(rotated),
        ops.real(gradient),
        ops.imag(gradient),
        noise * 3,
        coverage,
        ops.log(scale) / 2,
        noise / scale,
    )
    return StageFeatures(channels, phase, scale, coverage)


def relative_coverage(ops: Ops, dose: Array) -> Array:
    """Return about 1 where the dose is high and 0 without light, float32 (H, W)."""
    return dose / (dose + COVERAGE_FLOOR * ops.max(dose))


def mean_log10_dose(ops: Ops, dose: Array) -> float:
    """Return log10 of the mean dose over the covered canvas, photons an object pixel."""
    return math.log10(max(ops.number(ops.compiled(_mean_dose)(dose)), 1e-6))


def _mean_dose(ops: Ops, dose: Array) -> Array:
    coverage = relative_coverage(ops, dose)
    return ops.sum(dose * coverage) / ops.sum(coverage)
