"""The arithmetic of one update, as pure functions that a framework can compile."""

from __future__ import annotations

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.projection import preconditioned

# Share of the greatest dose that every pixel's dose is raised by.
DOSE_FLOOR = 0.02


def carried_on(ops: Ops, now: Array, earlier: Array, momentum: Array) -> Array:
    """Return where velocity carries an object or a probe, complex64 of any shape.

    Args:
        ops: the framework.
        now: the present state.
        earlier: the state one update before.
        momentum: float32 scalar, the share of the velocity that is kept.
    """
    return now + ops.scale(now - earlier, momentum)


def gradient_image(ops: Ops, direction: Array, dose: Array) -> Array:
    """Return the preconditioned gradient image, complex64 (H, W).

    Args:
        ops: the framework.
        direction: complex64 (H, W), overlap-added.
        dose: float32 (H, W), overlap-added.
    """
    return preconditioned(ops, direction, dose, DOSE_FLOOR * ops.max(dose))


def moved_object(
    ops: Ops,
    canvas_object: Array,
    direction: Array,
    dose: Array,
    size: Array,
    pass_sums: tuple[Array, Array],
) -> tuple[Array, tuple[Array, Array]]:
    """Step along a gradient image and add it to those of its pass.

    Args:
        ops: the framework.
        canvas_object: complex64 (H, W), where the gradient image was taken.
        direction: complex64 (H, W), overlap-added.
        dose: float32 (H, W), overlap-added.
        size: float32 scalar, of the step.
        pass_sums: direction and dose of the pass so far.

    Returns:
        The object, complex64 (H, W), and the direction and dose of the pass.
    """
    moved = canvas_object + ops.scale(gradient_image(ops, direction, dose), size)
    return moved, (pass_sums[0] + direction, pass_sums[1] + dose)


def moved_probe(ops: Ops, probe: Array, direction: Array, power: Array, size: Array) -> Array:
    """Step along the probe's gradient image, complex64 (modes, N, N).

    Args:
        ops: the framework.
        probe: complex64 (modes, N, N), where the gradient image was taken.
        direction: complex64 (modes, N, N), summed over frames.
        power: float32 scalar, the greatest summed |patch|^2, its preconditioner.
        size: float32 scalar, of the step.
    """
    return probe + ops.scale(direction, size / power)
