"""A file that is written by libraries which do not survive a failing write."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class OutputFile(io.RawIOBase):
    """A file that keeps its first error until `finish` and lets its user go on.

    Libraries do not survive every failing write: HDF5 ends the process, zipfile raises
    again when it is collected, others raise errors of their own. After the error nothing is
    stored; position and size go on as if it were, and zeros are read.

    Args:
        descriptor: of an open file, empty; closed with this one.

    Attributes:
        error: the first error, None so far.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.error: OSError | None = None
        # Unbuffered: a buffer would fail later, when it is closed.
        self._file = io.FileIO(descriptor, 'r+')
        self._position = 0
        self._size = 0

    def finish(self) -> None:
        """Flush to disk.

        Raises:
            OSError: the first error of all that was written.
        """
        if self.error is not None:
            raise self.error
        os.fsync(self._file.fileno())

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position and return it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all bytes and return their number."""
        content = memoryview(data).cast('B')
        self._attempt(lambda: self._write_all(content))
        self._position += len(content)
        self._size = max(self._size, self._position)
        return len(content)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into a buffer and return the number of bytes."""
        content = memoryview(buffer).cast('B')
        content = content[: max(0, self._size - self._position)]
        content[:] = bytes(len(content))
        self._attempt(lambda: self._read_all(content))
        self._position += len(content)
        return len(content)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size, by default to the position, and return it."""
        self._size = self._position if size is None else size
        self._attempt(lambda: self._file.truncate(self._size))
        return self._size

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def _attempt(self, operation: Callable[[], object]) -> None:
        """Run an operation of the file unless one has failed; keep the error."""
        if self.error is None:
            try:
                operation()
            except OSError as error:
                self.error = error

    def _write_all(self, content: memoryview) -> None:
        self._file.seek(self._position)
        while len(content):
            content = content[self._file.write(content) :]

    def _read_all(self, content: memoryview) -> None:
        self._file.seek(self._position)
        while len(content) and (count := self._file.readinto(content)):
            content = content[count:]
