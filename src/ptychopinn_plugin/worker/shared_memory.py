"""Memory that two processes share and that is gone when both are."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ALIGNMENT = 64


class Arena:
    """A file without a name that a child inherits; here the parent puts arrays for it.

    In memory where the system can, else an unlinked temporary file. Nothing in the file system
    points to it, so nothing is left behind, however the two processes end.

    Args:
        descriptor: of the open file; the arena owns it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        # Not sooner than the last use: the number may be another file's by then.
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def create(cls) -> Self | None:
        """Return a new arena; None on systems where a child cannot inherit one."""
        if os.name != 'posix':
            return None
        if hasattr(os, 'memfd_create'):
            return cls(os.memfd_create('ptychopinn-worker'))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def write(self, arrays: Mapping[str, Array]) -> dict[str, int]:
        """Put arrays in place of whatever was there; return the offset of each.

        Raises:
            OSError: there is no room.
        """
        offsets, end = {}, 0
        for name, array in arrays.items():
            offsets[name] = end
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        os.ftruncate(self.descriptor, end)
        for name, array in arrays.items():
            self._write_one(array, offsets[name])
        return offsets

    def read(self, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int) -> Array:
        """Return an array of the file without copying it; writing to it stays private.

        It is to be used only until the writer writes or clears.
        """
        count = int(np.prod(shape, dtype=np.int64))
        if not count:
            return np.empty(shape, dtype)
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        length = offset - start + count * dtype.itemsize
        pages = mmap.mmap(self.descriptor, length, access=mmap.ACCESS_COPY, offset=start)
        return np.frombuffer(pages, dtype, count, offset - start).reshape(shape)

    def clear(self) -> None:
        """Give the memory back."""
        os.ftruncate(self.descriptor, 0)

    def _write_one(self, array: Array, offset: int) -> None:
        if not array.size:
            return
        view = array.reshape(-1).view(np.uint8).data
        while len(view):
            written = os.pwrite(self.descriptor, view, offset)
            view, offset = view[written:], offset + written
