"""The functions of `updates` by fused loops."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.physics import canvas_loops as loops
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.physics.regularizers import Regularizer
from ptychopinn_plugin.solver import unknowns, updates
from ptychopinn_plugin.solver.fused.arrays import parts


def update_object(
    ops: ProcessorOps,
    canvas_object: Array,
    direction: Array,
    dose: Array,
    size: Array,
    pass_sums: tuple[Array, Array],
    regularizers: tuple[Regularizer, ...] = (),
    largest: Array | None = None,
) -> tuple[Array, tuple[Array, Array]]:
    """Step along a gradient image and add it to those of its pass, see `updates.update_object`."""
    if regularizers or canvas_object.dtype != np.complex64 or dose.dtype != np.float32:
        return updates.update_object(
            ops, canvas_object, direction, dose, size, pass_sums, regularizers, largest
        )
    most = ops.max(dose) if largest is None else largest
    floor = np.float32(updates.DOSE_FLOOR * float(most))
    start, image = (parts(np.ascontiguousarray(one)) for one in (canvas_object, direction))
    updated = np.empty(canvas_object.shape, np.complex64)
    light, (total, all_light) = np.ascontiguousarray(dose), pass_sums
    step = np.float32(size)
    loops.step_along(start, image, light, floor, step, parts(updated), parts(total), all_light)
    return updated, pass_sums


def apply_gains(
    ops: ProcessorOps, image: Array, gains: Array, below: Array, beside: Array
) -> Array:
    """Scale the Fourier components of an image, see `updates.apply_gains`."""
    if image.dtype != np.complex64 or gains.dtype != np.float32:
        return updates.apply_gains(ops, image, gains, below, beside)
    height, width = image.shape
    plane = np.zeros(gains.shape, np.complex64)
    plane[:height, :width] = image
    spectrum = ops.fft2_of_scratch(plane)
    loops.scale_numbers(parts(spectrum), gains)
    return ops.ifft2_of_scratch(spectrum)


def extrapolate(ops: ProcessorOps, now: Array, earlier: Array, momentum: Array) -> Array:
    """Return an array extrapolated along its last change, see `unknowns.extrapolate`."""
    alike = now.dtype == earlier.dtype == np.complex64
    if not (alike and now.flags.c_contiguous and earlier.flags.c_contiguous):
        return unknowns.extrapolate(ops, now, earlier, momentum)
    ahead = np.empty_like(now)
    present, before, reached = (parts(one).reshape(-1) for one in (now, earlier, ahead))
    loops.step_on(present, before, np.float32(momentum), reached)
    return ahead
