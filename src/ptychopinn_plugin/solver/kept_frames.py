"""Frames that stay on a device with a memory of its own, such as a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.solver.batches import FrameBatch

# Of the device's free memory; the rest is for the work on a batch, and for the network.
SHARE_FOR_FRAMES = 0.5


@dataclass(eq=False)
class KeptFrames:
    """Amplitudes of batches, sent to the device once as far as they fit, else at each visit.

    Attributes:
        ops: of the device.
    """

    ops: Ops
    _free_bytes: float | None = None
    # By what reads the amplitudes, which a batch keeps when its frames move.
    _kept: WeakKeyDictionary[Callable[[], npt.NDArray[np.float32]], Array] = field(
        default_factory=WeakKeyDictionary
    )

    def amplitudes(self, batch: FrameBatch) -> Array:
        """Return the amplitudes (b, N, N) on the device where they are kept, else read them."""
        kept = self._kept.get(batch.read_amplitudes)
        return batch.amplitudes if kept is None else kept

    def on_device(self, batch: FrameBatch, found: Array | None = None) -> Array:
        """Return the amplitudes on the device, float32 (b, N, N).

        Args:
            batch: the batch.
            found: from `amplitudes`, where it was called already.
        """
        kept = self._kept.get(batch.read_amplitudes)
        if kept is not None:
            return kept
        values = batch.amplitudes if found is None else found
        placed = self.ops.array(values)
        if self._takes(values.nbytes):
            self._kept[batch.read_amplitudes] = placed
        return placed

    def _takes(self, nbytes: int) -> bool:
        """Return whether some more bytes fit, and count them."""
        if self._free_bytes is None:
            self._free_bytes = SHARE_FOR_FRAMES * self.ops.free_bytes()
        if nbytes > self._free_bytes:
            return False
        self._free_bytes -= nbytes
        return True
