"""The arithmetic of one update, as pure functions that a framework can compile."""

from __future__ import annotations

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.projection import preconditioned
from ptychopinn_plugin.physics.regularizers import Regularizer

# Share of the largest dose that every pixel's dose is raised by: below it, at the border of the
# scan, the division would amplify noise.
DOSE_FLOOR = 0.02


def gradient_image(ops: Ops, direction: Array, dose: Array, largest: Array | None = None) -> Array:
    """Return the preconditioned gradient image, complex64 (H, W).

    Args:
        ops: the framework.
        direction: complex64 (H, W), overlap-added.
        dose: float32 (H, W), overlap-added.
        largest: float32 scalar, dose of the scan, where these are a part of its canvas.
    """
    most = ops.max(dose) if largest is None else largest
    return preconditioned(ops, direction, dose, DOSE_FLOOR * most)


def update_object(
    ops: Ops,
    canvas_object: Array,
    direction: Array,
    dose: Array,
    size: Array,
    pass_sums: tuple[Array, Array],
    regularizers: tuple[Regularizer, ...] = (),
    largest: Array | None = None,
) -> tuple[Array, tuple[Array, Array]]:
    """Step along a gradient image and add it to those of its pass.

    Args:
        ops: the framework.
        canvas_object: complex64 (H, W), where the gradient image was taken.
        direction: complex64 (H, W), overlap-added.
        dose: float32 (H, W), overlap-added.
        size: float32 scalar, of the step.
        pass_sums: direction and dose of the pass so far; may be changed in place.
        regularizers: their gradients are subtracted from the gradient image.
        largest: see `gradient_image`.

    Returns:
        The object, complex64 (H, W), and the direction and dose of the pass.
    """
    image = gradient_image(ops, direction, dose, largest)
    for regularizer in regularizers:
        image = image - regularizer.gradient(ops, canvas_object)
    updated = canvas_object + ops.scale(image, size)
    return updated, (pass_sums[0] + direction, pass_sums[1] + dose)


def update_probe(ops: Ops, probe: Array, direction: Array, power: Array, size: Array) -> Array:
    """Step along the probe's gradient image, complex64 (modes, N, N).

    Args:
        ops: the framework.
        probe: complex64 (modes, N, N), where the gradient image was taken.
        direction: complex64 (modes, N, N), summed over frames.
        power: float32 scalar, the largest summed |patch|^2, its preconditioner.
        size: float32 scalar, of the step.
    """
    return probe + ops.scale(direction, size / power)


def apply_gains(ops: Ops, image: Array, gains: Array, below: Array, beside: Array) -> Array:
    """Scale the Fourier components of an image with zeros below and beside it.

    Args:
        ops: the framework.
        image: complex64 (H, W).
        gains: float32 (H', W'), over their number, zero frequency at index 0.
        below: complex64 (H' - H, W), zeros; given, as a graph for any shape cannot make them.
        beside: complex64 (H', W' - W), zeros.

    Returns:
        complex64 (H', W').
    """
    plane = ops.join(ops.join(image, below, axis=0), beside)
    return ops.ifft2_unscaled(ops.scale_in_place(ops.fft2_unscaled(plane), gains))
