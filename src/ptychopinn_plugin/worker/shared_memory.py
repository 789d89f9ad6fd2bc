"""Memory that two processes share and that the system frees when both have ended."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

# Bytes; the width of a cache line, and a multiple of the size of every number.
ALIGNMENT = 64
# 64 MB take 0.05 s.
BYTES_BETWEEN_CHECKS = 1 << 26


def do_nothing() -> None:
    """Let a write go on."""


class SharedMemory:
    """An unnamed file inherited by a child process, through which the parent passes it arrays.

    It is in memory where the system supports that, else it is an unlinked temporary file. No name
    in the file system points to it, so nothing remains, however the two processes end.

    Args:
        descriptor: of the open file; closed with this object.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        # Not sooner than the last use: the number may be another file's by then.
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def create(cls) -> Self | None:
        """Return new shared memory; None on systems where a child cannot inherit a file."""
        if os.name != 'posix':
            return None
        if hasattr(os, 'memfd_create'):
            return cls(os.memfd_create('ptychopinn-worker'))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def write(
        self, arrays: Mapping[str, Array], check: Callable[[], None] = do_nothing
    ) -> dict[str, int]:
        """Replace the contents by arrays; return the offset of each in bytes.

        Args:
            arrays: by name.
            check: called after every 64 MB of an array; raises to stop.

        Raises:
            OSError: there is not enough memory.
        """
        offsets, end = {}, 0
        for name, array in arrays.items():
            offsets[name] = end
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        os.ftruncate(self.descriptor, end)
        for name, array in arrays.items():
            self._write_one(array, offsets[name], check)
        return offsets

    def read(self, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int) -> Array:
        """Return an array without copying it; changes to it are not seen by the other process.

        The array is valid until the next `write` or `clear` of the other process.
        """
        count = int(np.prod(shape, dtype=np.int64))
        if not count:
            return np.empty(shape, dtype)
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        length = offset - start + count * dtype.itemsize
        pages = mmap.mmap(self.descriptor, length, access=mmap.ACCESS_COPY, offset=start)
        return np.frombuffer(pages, dtype, count, offset - start).reshape(shape)

    def clear(self) -> None:
        """Return the memory to the system."""
        os.ftruncate(self.descriptor, 0)

    def _write_one(self, array: Array, offset: int, check: Callable[[], None]) -> None:
        if not array.size:
            return
        view = array.reshape(-1).view(np.uint8).data
        while len(view):
            written = os.pwrite(self.descriptor, view[:BYTES_BETWEEN_CHECKS], offset)
            view, offset = view[written:], offset + written
            if len(view):
                check()
