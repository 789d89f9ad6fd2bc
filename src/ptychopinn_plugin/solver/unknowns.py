"""The unknowns of a reconstruction, arrays on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ptychopinn_plugin.physics.ops import Array, DType, Ops
from ptychopinn_plugin.saved_state import SavedState
from ptychopinn_plugin.solver.parts.partition import Partition


class Unknowns(NamedTuple):
    """Object, probe and what else the frames depend on; None for what is not estimated.

    Attributes:
        canvas_object: complex64 (H, W).
        probe: complex64 (modes, N, N); the first mode is the main one.
        variation: complex64 (functions, N, N), how the main mode varies along the scan: frame j
            sees probe[0] + sum_k basis[j, k] variation[k].
        background: float32 (N, N), counts added to every frame, zero frequency at index 0.
    """

    canvas_object: Array
    probe: Array
    variation: Array | None = None
    background: Array | None = None

    def times(self, on_canvas: Array, on_probe: Array) -> Unknowns:
        """Return the unknowns with object, and probe with its variation, multiplied by factors.

        Args:
            on_canvas: complex64 (H, W).
            on_probe: complex64 (N, N).
        """
        varied = None if self.variation is None else self.variation * on_probe
        return self._replace(
            canvas_object=self.canvas_object * on_canvas,
            probe=self.probe * on_probe,
            variation=varied,
        )


@dataclass(frozen=True, eq=False)
class State:
    """The unknowns now and one update before: their difference is the momentum.

    Attributes:
        now: the present unknowns.
        earlier: those before the last update.
    """

    now: Unknowns
    earlier: Unknowns

    def without_momentum(self) -> State:
        """Return the same unknowns with no last change."""
        return State(self.now, self.now)

    def mapped(self, function: Callable[[Unknowns], Unknowns]) -> State:
        """Return the state with a function applied now and before, so that momentum follows."""
        return State(function(self.now), function(self.earlier))


def extrapolate(ops: Ops, now: Array, earlier: Array, momentum: Array) -> Array:
    """Return an array extrapolated along its last change.

    Args:
        ops: the framework.
        now: the present state, complex64 or float32 of any shape.
        earlier: the state one update before.
        momentum: float32 scalar, the share of the last change that is added.
    """
    return now + ops.scale(now - earlier, momentum)


def saved_unknowns(ops: Ops, partition: Partition, unknowns: Unknowns) -> SavedState:
    """Return the unknowns in the memory of the host, with the object on the whole canvas."""
    known = unknowns._replace(canvas_object=partition.whole(unknowns.canvas_object))._asdict()
    return SavedState.of(
        **{name: None if one is None else np.array(ops.numpy(one)) for name, one in known.items()}
    ).with_images(['canvas_object'])


def placed_unknowns(ops: Ops, partition: Partition, state: SavedState) -> Unknowns:
    """Return saved unknowns on the device, with the process's part of the object."""
    known = {name: ops.array(array) for name, array in state.arrays.items()}
    return Unknowns(placed_image(ops, partition, state, 'canvas_object'), **known)


def placed_image(
    ops: Ops, partition: Partition, state: SavedState, name: str, dtype: DType = 'complex64'
) -> Array:
    """Return the process's part of a saved image on the device."""
    image = state.images[name] if partition.is_first else None
    return partition.part(None if image is None else ops.array(image), dtype)
