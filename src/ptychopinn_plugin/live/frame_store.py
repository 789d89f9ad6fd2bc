"""Frames as they arrive: integers in memory up to a limit, then in a temporary file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.scan.frame_source import ContiguousFrames, Frames

# Frames are kept in blocks of about this size, so that none is copied when more arrive.
BLOCK_BYTES = 4 * 2**20

Stack = npt.NDArray[Any]


@dataclass(eq=False)
class FrameStore:
    """A `FrameSource` that grows; its rows are in the order of arrival.

    Attributes:
        frame_shape: (N, N).
        dtype: of the values, which are kept as they are.
        memory_limit: bytes of frames that are kept in memory; later frames are written to a
            temporary file in TMPDIR, which has no name and is gone when the process ends.
    """

    frame_shape: tuple[int, int]
    dtype: np.dtype[Any]
    memory_limit: int
    _count: int = 0
    _blocks: list[Stack] = field(default_factory=list)
    _spooled: ContiguousFrames | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, N, N)."""
        return (self._count, *self.frame_shape)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the blocks in memory."""
        return sum(block.nbytes for block in self._blocks)

    @property
    def _frame_bytes(self) -> int:
        height, width = self.frame_shape
        return max(1, self.dtype.itemsize * height * width)

    @property
    def _block_frames(self) -> int:
        return max(1, BLOCK_BYTES // self._frame_bytes)

    @property
    def _most_in_memory(self) -> int:
        """Frames that are kept in memory, whole blocks."""
        return self.memory_limit // (self._block_frames * self._frame_bytes) * self._block_frames

    def append(self, frames: Stack) -> npt.NDArray[np.int64]:
        """Keep frames (b, N, N) of this dtype; return their rows, int64 (b,).

        Raises:
            OutputError: the temporary file cannot be written.
        """
        first, room = self._count, max(0, self._most_in_memory - self._count)
        for frame in frames[:room]:
            block, place = divmod(self._count, self._block_frames)
            if block == len(self._blocks):
                self._blocks.append(np.empty((self._block_frames, *self.frame_shape), self.dtype))
            self._blocks[block][place] = frame
            self._count += 1
        if len(frames) > room:
            self._spool(np.ascontiguousarray(frames[room:]))
        return np.arange(first, self._count, dtype=np.int64)

    def read(self, frames: Frames) -> Stack:
        """Return frames (b, N, N) as they were given.

        Args:
            frames: int64 (b,), their rows, in any order.
        """
        values = np.empty((len(frames), *self.frame_shape), self.dtype)
        spooled = frames >= self._most_in_memory
        kept = np.flatnonzero(~spooled)
        blocks, places = np.divmod(frames[kept], self._block_frames)
        for block in np.unique(blocks):
            here = blocks == block
            values[kept[here]] = self._blocks[block][places[here]]
        if spooled.any():
            assert self._spooled is not None
            values[spooled] = self._spooled.read(frames[spooled] - self._most_in_memory)
        return values

    def _spool(self, frames: Stack) -> None:
        """Write frames behind those in the temporary file."""
        try:
            if self._spooled is None:
                file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
                # Its number of frames is not used: rows are read up to the end of the file.
                self._spooled = ContiguousFrames(file, 0, (0, *self.frame_shape), self.dtype)
            spool = self._spooled.file
            spool.seek((self._count - self._most_in_memory) * self._frame_bytes)
            rest = frames.reshape(-1).view(np.uint8).data
            while rest.nbytes:
                rest = rest[spool.write(rest) or 0 :]
        except OSError as error:
            raise OutputError(
                f'frames beyond {self.memory_limit // 2**20} MiB cannot be written to '
                f'{tempfile.gettempdir()}: {error.strerror}; set TMPDIR to a folder with more '
                'room, or give a larger memory limit'
            ) from error
        self._count += len(frames)
