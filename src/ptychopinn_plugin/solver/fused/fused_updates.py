"""The functions of `updates` by fused loops."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.physics import fused_loops as loops
from ptychopinn_plugin.physics.ops import Array
from ptychopinn_plugin.physics.processor_ops import ProcessorOps
from ptychopinn_plugin.physics.regularizers import Regularizer
from ptychopinn_plugin.solver import updates
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
    light = np.ascontiguousarray(dose)
    loops.step_along(start, image, light, floor, np.float32(size), parts(updated))
    for total, values in zip(pass_sums, (direction, dose), strict=True):
        np.add(total, values, out=total)
    return updated, pass_sums
