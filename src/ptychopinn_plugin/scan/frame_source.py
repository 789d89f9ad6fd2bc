"""Frames that stay in their file and are read when they are used."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.reused_memory import ReusedMemory

FloatArray: TypeAlias = npt.NDArray[np.float32]
Frames: TypeAlias = npt.NDArray[np.int64]
Index: TypeAlias = int | slice | npt.NDArray[Any]
# One more step from stored values to photons, float32 (b, H, W) to float32 (b, H, W); it may work
# in place and treats each frame alone.
FrameStep: TypeAlias = Callable[[FloatArray], FloatArray]


class FrameSource(Protocol):
    """A stack of frames as a file holds it.

    Attributes:
        shape: (n, H, W).
        dtype: of the stored values.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, H, W)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the stored values."""

    def read(self, frames: Frames) -> npt.NDArray[Any]:
        """Return frames (b, H, W) as stored.

        Args:
            frames: int64 (b,), their numbers, in any order.
        """


@dataclass(frozen=True, eq=False)
class ContiguousFrames:
    """Frames that lie in a file whole, neither compressed nor transposed.

    They are read, not memory-mapped: a thread that waits for the disk then lets others go on, and
    a file that is cut short meanwhile is an error, where a mapped one ends the process.

    Attributes:
        file: open for reading, without a buffer.
        offset: of the first frame in the file, bytes.
        shape: (n, H, W).
        dtype: of the values.
        places: int64 (n,), bytes from the offset to each frame; None where they lie one after the
            other.
    """

    file: io.RawIOBase
    offset: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    places: Frames | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _memory: ReusedMemory = field(default_factory=ReusedMemory)

    def __post_init__(self) -> None:
        """Close the file with the last scan that has frames in it."""
        weakref.finalize(self, self.file.close)

    def read(self, frames: Frames) -> npt.NDArray[Any]:
        """Return frames (b, H, W) as stored.

        Raises:
            ScanDataError: the file has become shorter.
        """
        _, height, width = self.shape
        values = self._memory.empty((len(frames), height, width), self.dtype)
        nbytes = self.dtype.itemsize * height * width
        places = nbytes * frames if self.places is None else self.places[frames]
        # Frames that lie one after the other are read at once.
        starts = np.flatnonzero(np.diff(places, prepend=-2 * nbytes) != nbytes)
        for start, end in pairwise([*starts, len(frames)]):
            self._fill(values[start:end], self.offset + int(places[start]))
        return values

    def _fill(self, values: npt.NDArray[Any], position: int) -> None:
        """Read the bytes of an array from a position of the file."""
        rest = values.reshape(-1).view(np.uint8).data
        while rest.nbytes:
            count = self._read_at(rest, position)
            if not count:
                raise ScanDataError(['the file of the frames was cut short while it was read'])
            rest, position = rest[count:], position + count

    def _read_at(self, into: memoryview, position: int) -> int:
        """Read bytes from a position of the file; return how many."""
        if hasattr(os, 'preadv'):
            # Forked processes share the place where a file is read; this one does not move it.
            return os.preadv(self.file.fileno(), [into], position)
        with self._lock:
            self.file.seek(position)
            return self.file.readinto(into) or 0


@dataclass(frozen=True, eq=False)
class FramesInFile:
    """Photons of frames that stay in their file, indexed as a float32 array (n, N, N) is.

    The first index selects frames and may be an int, a slice or an array of numbers. Each use
    reads these frames anew, casts them to float32 and applies the steps, so that the values are
    those of frames that were read into memory, bit for bit.

    Attributes:
        source: where the stored values come from.
        frames: int64 (n,), which frames of the source, in this order.
        steps: from stored values to photons, in this order.
        faults: faults of the values under a mask, by the bytes of the mask, so that a copy of a
            checked scan does not read all frames again.
        memory: for what is read, and for what is computed from it batch by batch.
    """

    source: FrameSource
    frames: Frames
    steps: tuple[FrameStep, ...] = ()
    faults: dict[bytes, list[str]] = field(default_factory=dict)
    memory: ReusedMemory = field(default_factory=ReusedMemory)

    @classmethod
    def of(cls, source: FrameSource) -> FramesInFile:
        """Return all frames of a source, as stored."""
        return cls(source, np.arange(source.shape[0], dtype=np.int64))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, N, N)."""
        _, height, width = self.source.shape
        return len(self.frames), height, width

    @property
    def ndim(self) -> int:
        """Three."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Float32."""
        return np.dtype(np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes of all frames as float32."""
        return self.dtype.itemsize * math.prod(self.shape)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)

    def __getitem__(self, index: Index | tuple[Index, ...]) -> FloatArray:
        """Read frames: float32 (b, N, N), one (N, N), or a part of them."""
        if isinstance(index, tuple):
            return np.asarray(self[index[0]][(..., *index[1:])])
        if isinstance(index, int | np.integer):
            # IndexError ends an iteration over the frames.
            return np.asarray(self._read(self.frames[int(index)][None])[0])
        return self._read(self.frames[index])

    def _read(self, frames: Frames) -> FloatArray:
        # A float64 beyond float32 becomes infinite, which the check of the scan reports.
        with np.errstate(over='ignore', invalid='ignore'):
            stored = self.source.read(frames)
            values = self.memory.empty(stored.shape, np.float32)
            values[...] = stored
        for step in self.steps:
            values = step(values)
        return values

    def __reduce__(self) -> NoReturn:
        """Refuse to be sent to another process, which has no such open file.

        Raises:
            ScanDataError: always.
        """
        raise ScanDataError(
            [
                'frames that stay in their file cannot be sent to another process; take '
                "num_workers = 0, or read the frames with load_scan(frames_in_memory='yes')"
            ]
        )

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Read all frames into memory."""
        return self[:].astype(dtype or np.float32, copy=False)

    def as_counts(self) -> FloatArray:
        """Return itself, typed as the array whose indexing it has."""
        return cast('FloatArray', self)


def frames_in_file(counts: object) -> FramesInFile | None:
    """Return the counts of a scan where they stay in their file; None where they are an array."""
    return counts if isinstance(counts, FramesInFile) else None


def select_frames(counts: FloatArray, frames: Frames) -> FloatArray:
    """Return the counts of some frames, in that order; what stays in its file stays there."""
    stack = frames_in_file(counts)
    if stack is None:
        return counts[frames]
    return dataclasses.replace(stack, frames=stack.frames[frames], faults={}).as_counts()


def apply_step(counts: FloatArray, step: FrameStep) -> FloatArray:
    """Return counts after one more step: in place for an array, later for frames in a file.

    Args:
        counts: float32 (n, H, W).
        step: from float32 (b, H, W) to float32 (b, H, W), each frame alone; may work in place.
    """
    stack = frames_in_file(counts)
    if stack is not None:
        return dataclasses.replace(stack, steps=(*stack.steps, step), faults={}).as_counts()
    for _, some in frame_chunks(counts):
        changed = step(some)
        if changed is not some:
            some[...] = changed
    return counts


def zero_pixels(counts: FloatArray, mask: npt.NDArray[np.bool_]) -> FloatArray:
    """Return counts that are 0 at masked pixels, see `apply_step`.

    Args:
        counts: float32 (n, H, W).
        mask: bool (H, W), True where 0.
    """
    mask = mask.copy()

    def zeroed(values: FloatArray) -> FloatArray:
        values[:, mask] = 0
        return values

    return apply_step(counts, zeroed) if mask.any() else counts
