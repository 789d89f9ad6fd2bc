"""Frames and positions of a scan that is being recorded, checked when they arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.live.frame_pairs import FramePairs, Integers, Positions
from ptychopinn_plugin.live.frame_store import FrameStore
from ptychopinn_plugin.scan.data import BoolArray, FloatArray
from ptychopinn_plugin.scan.frame_source import FramesInFile

Stack = npt.NDArray[Any]
CHANGED_DTYPE = 'frames are {}, those before {}; give all frames with one dtype'


@dataclass(eq=False)
class FrameBuffer:
    """Frames paired with positions, for a thread that appends and one that reads.

    Attributes:
        size: side N of a frame.
        mask: bool (N, N), True where bad; values under it may be anything.
        memory_limit: bytes of frames in memory, see `FrameStore`.
        changed: notified when a pair was completed and when the buffer was closed; hold it to use
            `pairs`.
        pairs: which frame belongs to which position.
        closed: whether no more is read.
    """

    size: int
    mask: BoolArray
    memory_limit: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    pairs: FramePairs = field(default_factory=FramePairs)
    closed: bool = False
    _store: FrameStore | None = None

    def close(self) -> None:
        """End every wait for pairs."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def append(
        self, frames: Stack | None, positions_px: Positions | None, indices: Integers | None
    ) -> None:
        """Add frames, positions or both; all of them or, where one has a fault, none.

        Args:
            frames: (b, N, N) or (N, N), counts as integers or floating-point numbers.
            positions_px: float (b, 2) or (2,), (row, column), object pixels.
            indices: int (b,), their numbers in the scan; None for those that follow the greatest.

        Raises:
            ScanDataError: with every fault.
            OutputError: frames beyond the limit cannot be written to the temporary file.
        """
        stack = None if frames is None else self._as_frames(np.asarray(frames))
        points = None if positions_px is None else _as_positions(np.asarray(positions_px))
        with self.changed:
            numbers = self._numbers(stack, points, indices)
            faults = [] if stack is None else self.pairs.frame_faults(numbers)
            faults += [] if points is None else self.pairs.position_faults(numbers)
            if stack is not None:
                faults += self._value_faults(stack, numbers)
            if points is not None:
                faults += _point_faults(points, numbers)
            if faults:
                raise ScanDataError(faults)
            if stack is not None:
                self.pairs.add_frames(numbers, self._stored(stack).append(stack))
            if points is not None:
                self.pairs.add_positions(numbers, points)
            self.changed.notify_all()

    def read(self, numbers: Iterable[int]) -> tuple[FloatArray, Positions]:
        """Return counts float32 (b, N, N), 0 under the mask, and positions of some pairs."""
        with self.changed:
            _, rows, positions = self.pairs.select(numbers)
            return self._counts(rows)[:], positions

    def in_order(self, count: int | None = None) -> tuple[Integers, FloatArray, Positions]:
        """Return indices, counts and positions of pairs in the order of their indices.

        Args:
            count: of the pairs that were completed first; None for all.

        Returns:
            The counts are `FramesInFile`: they are read when they are used.

        Raises:
            ScanDataError: there is no pair.
        """
        with self.changed:
            numbers = range(len(self.pairs) if count is None else count)
            if not numbers:
                raise ScanDataError(
                    [
                        f'there is no frame with a position yet: {self.pairs.waiting_frames} '
                        f'frames and {self.pairs.waiting_positions} positions wait for each other'
                    ]
                )
            indices, rows, positions = self.pairs.select(numbers)
            order = np.argsort(indices)
            return indices[order], self._counts(rows[order]), positions[order]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the frames as they are kept."""
        return np.dtype(np.float32) if self._store is None else self._store.dtype

    @property
    def memory_bytes(self) -> int:
        """Bytes of frames in memory."""
        return 0 if self._store is None else self._store.memory_bytes

    def _counts(self, rows: Integers) -> FloatArray:
        assert self._store is not None
        steps = (self._without_bad_pixels,) if self.mask.any() else ()
        # Values are checked when they arrive, not by another reading of all frames.
        checked: dict[bytes, list[str]] = {self.mask.tobytes(): []}
        return FramesInFile(self._store, rows, steps, checked).as_counts()

    def _without_bad_pixels(self, counts: FloatArray) -> FloatArray:
        counts[:, self.mask] = 0
        return counts

    def _as_frames(self, frames: Stack) -> Stack:
        """Return frames as they are kept: integers as given, others as float32."""
        stack = frames[None] if frames.ndim == 2 else frames
        if stack.ndim != 3 or stack.shape[1:] != (self.size, self.size):
            raise ScanDataError(
                [
                    f'frames must have shape (n, {self.size}, {self.size}), that of the probe, '
                    f'got {frames.shape}'
                ]
            )
        if stack.dtype.kind not in 'uif':
            raise ScanDataError([f'frames must hold counts, real numbers, got {stack.dtype}'])
        if stack.dtype.kind == 'f':
            # What is too large becomes infinite, which is reported with the other values.
            with np.errstate(over='ignore'):
                return stack.astype(np.float32, copy=False)
        return stack.astype(stack.dtype.newbyteorder('='), copy=False)

    def _numbers(
        self, stack: Stack | None, points: Positions | None, indices: Integers | None
    ) -> Integers:
        """Return the indices of what is added, int64 (b,)."""
        counts = [len(given) for given in (stack, points) if given is not None]
        if len(set(counts)) > 1:
            raise ScanDataError(
                [
                    f'{counts[0]} frames and {counts[1]} positions were given together; give as '
                    'many, or each with its own indices'
                ]
            )
        count = counts[0] if counts else 0
        if indices is not None:
            given = np.asarray(indices)
            if given.shape != (count,) or given.dtype.kind not in 'ui':
                raise ScanDataError(
                    [f'indices must be {count} integers, got {given.dtype} {given.shape}']
                )
            return given.astype(np.int64)
        first = {
            known
            for known, added in (
                (self.pairs.next_frame, stack),
                (self.pairs.next_position, points),
            )
            if added is not None
        }
        if len(first) > 1:
            raise ScanDataError(
                [
                    f'the next frame has the index {self.pairs.next_frame}, the next position '
                    f'{self.pairs.next_position}; give the indices of frames and positions'
                ]
            )
        start = first.pop() if first else 0
        return np.arange(start, start + count, dtype=np.int64)

    def _value_faults(self, stack: Stack, numbers: Integers) -> list[str]:
        """Return the first value of a frame that cannot be a count."""
        if self._store is not None and self._store.dtype != stack.dtype:
            return [CHANGED_DTYPE.format(stack.dtype, self._store.dtype)]
        # False with NaN too.
        if stack.dtype.kind == 'u' or not stack.size or (stack.min() >= 0 and stack.max() < np.inf):
            return []
        wrong = np.argwhere(~(np.isfinite(stack) & (stack >= 0)) & ~self.mask)
        if not len(wrong):
            return []
        frame, row, column = (int(i) for i in wrong[0])
        return [
            f'frame {numbers[frame]} holds {stack[frame, row, column]} at pixel row {row}, column '
            f'{column}; counts must be finite and not negative, or the pixel masked as bad'
        ]

    def _stored(self, stack: Stack) -> FrameStore:
        """Return the store, made for the first frames."""
        if self._store is None:
            shape = (self.size, self.size)
            self._store = FrameStore(shape, stack.dtype, self.memory_limit)
        return self._store


def _as_positions(positions_px: npt.NDArray[Any]) -> Positions:
    """Return positions as float64 (b, 2)."""
    points = positions_px[None] if positions_px.ndim == 1 else positions_px
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in 'uif':
        raise ScanDataError(
            [
                'positions must be numbers of shape (n, 2), (row, column) in object pixels, got '
                f'{positions_px.dtype} {positions_px.shape}'
            ]
        )
    return points.astype(np.float64)


def _point_faults(points: Positions, numbers: Integers) -> list[str]:
    """Return the first position that is none."""
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if not len(wrong):
        return []
    found = ' '.join(str(points[wrong[0]]).split())
    return [f'the position of index {numbers[wrong[0]]} is not finite: {found}']
