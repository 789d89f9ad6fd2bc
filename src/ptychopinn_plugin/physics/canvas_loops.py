"""Loops over the pixels of the canvas, compiled by Numba; see `fused_loops`."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.physics.compiled_loop import compiled_loop
from ptychopinn_plugin.physics.fused_loops import Floats


@compiled_loop
def step_along(
    canvas_object: Floats,
    direction: Floats,
    dose: Floats,
    floor: np.float32,
    size: np.float32,
    updated: Floats,
    pass_direction: Floats,
    pass_dose: Floats,
) -> None:
    """Step along a gradient image over its dose, see `updates.update_object`.

    Args:
        canvas_object: (H, 2 W).
        direction: (H, 2 W), overlap-added.
        dose: (H, W), overlap-added.
        floor: added to the dose.
        size: of the step.
        updated: (H, 2 W), is overwritten.
        pass_direction: (H, 2 W), sum of the directions of the pass so far.
        pass_dose: (H, W), sum of the doses of the pass so far.
    """
    start, image, reached = canvas_object.reshape(-1), direction.reshape(-1), updated.reshape(-1)
    light, total, all_light = dose.reshape(-1), pass_direction.reshape(-1), pass_dose.reshape(-1)
    for pixel in range(len(light)):
        real, imag, share = 2 * pixel, 2 * pixel + 1, size / (light[pixel] + floor)
        reached[real] = start[real] + share * image[real]
        reached[imag] = start[imag] + share * image[imag]
    # In loops of their own: the compiler finds no vector instructions for so many arrays at once.
    for number in range(len(image)):
        total[number] += image[number]
    for pixel in range(len(light)):
        all_light[pixel] += light[pixel]


@compiled_loop
def scale_numbers(numbers: Floats, factors: Floats) -> None:
    """Multiply complex numbers by real ones.

    Args:
        numbers: (H, 2 W), are multiplied.
        factors: (H, W).
    """
    values, scales = numbers.reshape(-1), factors.reshape(-1)
    for pixel in range(len(scales)):
        values[2 * pixel] *= scales[pixel]
        values[2 * pixel + 1] *= scales[pixel]


@compiled_loop
def step_on(now: Floats, earlier: Floats, momentum: np.float32, ahead: Floats) -> None:
    """Extrapolate numbers along their last change, see `unknowns.extrapolate`.

    Args:
        now: of any shape.
        earlier: of the same shape.
        momentum: share of the last change that is added.
        ahead: is overwritten.
    """
    present, before, reached = now.reshape(-1), earlier.reshape(-1), ahead.reshape(-1)
    for number in range(len(present)):
        reached[number] = present[number] + momentum * (present[number] - before[number])
