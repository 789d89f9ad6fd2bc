"""Memory of arrays that come and go, used again."""

from __future__ import annotations

import math
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

# Bytes of an array: larger ones, such as those of a whole scan, are not kept.
MOST_BYTES = 16 * 2**20
# Pieces that are kept while no array uses them: amplitudes of a few batches that are computed while
# as many are read.
MOST_FREE = 8


@dataclass(frozen=True, eq=False)
class ReusedMemory:
    """Gives memory to arrays and takes it back once neither they nor their views are left.

    Fresh memory comes page by page from the system, which takes longer than to read a frame into it
    and to take its square roots.
    """

    _free: deque[bytearray] = field(default_factory=lambda: deque(maxlen=MOST_FREE))

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array whose values are not set."""
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        nbytes = count * dtype.itemsize
        if not 0 < nbytes <= MOST_BYTES:
            return np.empty(shape, dtype)
        memory = self._taken(nbytes)
        flat: npt.NDArray[Any] = np.frombuffer(memory, dtype, count)
        # Views refer to this array, also those that a framework makes of the one returned.
        weakref.finalize(flat, self._free.append, memory).atexit = False
        return flat.reshape(shape)

    def _taken(self, nbytes: int) -> bytearray:
        """Return a piece of memory that nothing uses, a new one where none is large enough."""
        try:
            memory = self._free.popleft()
        except IndexError:
            return bytearray(nbytes)
        return memory if len(memory) >= nbytes else bytearray(nbytes)
