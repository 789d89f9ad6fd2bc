"""Frames paired with their positions by index, in whatever order both arrive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.scan.frame_outliers import list_numbers

Integers = npt.NDArray[np.int64]
Positions = npt.NDArray[np.float64]


@dataclass(eq=False)
class FramePairs:
    """Which frame of a store belongs to which position.

    A frame waits for the position of its index, and a position for its frame. The pairs are in the
    order in which they were completed.
    """

    _rows: dict[int, int] = field(default_factory=dict)
    _positions: dict[int, tuple[float, float]] = field(default_factory=dict)
    _pairs: list[tuple[int, int, float, float]] = field(default_factory=list)
    _bounds: tuple[Positions, Positions] | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._pairs)

    @property
    def waiting_frames(self) -> int:
        """Frames without a position."""
        return len(self._rows) - len(self._pairs)

    @property
    def waiting_positions(self) -> int:
        """Positions without a frame."""
        return len(self._positions) - len(self._pairs)

    @property
    def next_frame(self) -> int:
        """The index after the greatest one of a frame."""
        return max(self._rows, default=-1) + 1

    @property
    def next_position(self) -> int:
        """The index after the greatest one of a position."""
        return max(self._positions, default=-1) + 1

    @property
    def bounds_px(self) -> tuple[Positions, Positions] | None:
        """Lowest and highest (row, column) of all positions; None without any."""
        return self._bounds

    def frame_faults(self, indices: Integers) -> list[str]:
        """Return why frames of some indices cannot be added."""
        return _repeated('frame', indices, self._rows)

    def position_faults(self, indices: Integers) -> list[str]:
        """Return why positions of some indices cannot be added."""
        return _repeated('position', indices, self._positions)

    def add_frames(self, indices: Integers, rows: Integers) -> None:
        """Add frames.

        Args:
            indices: int64 (b,), their numbers in the scan, checked by `frame_faults`.
            rows: int64 (b,), where they are stored.
        """
        for index, row in zip(indices.tolist(), rows.tolist(), strict=True):
            self._rows[index] = row
            if index in self._positions:
                self._pairs.append((index, row, *self._positions[index]))

    def add_positions(self, indices: Integers, positions_px: Positions) -> None:
        """Add positions.

        Args:
            indices: int64 (b,), numbers of their frames, checked by `position_faults`.
            positions_px: float64 (b, 2), (row, column), object pixels.
        """
        if not len(indices):
            return
        for index, (row_px, column_px) in zip(indices.tolist(), positions_px.tolist(), strict=True):
            self._positions[index] = (row_px, column_px)
            if index in self._rows:
                self._pairs.append((index, self._rows[index], row_px, column_px))
        low, high = positions_px.min(axis=0), positions_px.max(axis=0)
        if self._bounds is not None:
            low, high = np.minimum(low, self._bounds[0]), np.maximum(high, self._bounds[1])
        self._bounds = (low, high)

    def select(self, numbers: Iterable[int]) -> tuple[Integers, Integers, Positions]:
        """Return indices (b,), rows (b,) and positions (b, 2) of some pairs.

        Args:
            numbers: of the pairs, in the order in which they were completed.
        """
        chosen = [self._pairs[number] for number in numbers]
        whole = np.array([pair[:2] for pair in chosen], np.int64).reshape(-1, 2)
        positions = np.array([pair[2:] for pair in chosen], np.float64).reshape(-1, 2)
        return whole[:, 0], whole[:, 1], positions


def _repeated(what: str, indices: Integers, known: Mapping[int, object]) -> list[str]:
    """Return why indices cannot be added to known ones."""
    if indices.size and int(indices.min()) < 0:
        return [f'the index of a {what} must not be negative, got {int(indices.min())}']
    values, counts = np.unique(indices, return_counts=True)
    again = [
        int(value)
        for value, count in zip(values, counts, strict=True)
        if count > 1 or int(value) in known
    ]
    if not again:
        return []
    return [
        f'the {what} of index {list_numbers(again)} was given before; each index belongs to one '
        'frame and one position'
    ]
