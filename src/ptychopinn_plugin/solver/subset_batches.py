"""The frames of a scan in subsets and batches, and where they lie on the canvas."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.solver.batches import (
    FrameBatch,
    Frames,
    frames_of_batches,
    make_batch,
    place_frames,
    split_evenly,
    split_frames,
)
from ptychopinn_plugin.solver.parts.communicator import Communicator
from ptychopinn_plugin.solver.parts.partition import Partition, WholeScan
from ptychopinn_plugin.solver.parts.scan_part import ScanPart

Item = TypeVar('Item')


@dataclass(eq=False)
class SubsetBatches(Stateful):
    """Frames assigned to subsets, each a list of batches, of one process.

    Attributes:
        ops: the framework.
        scan: the scan.
        subsets: the batches of each subset.
        partition: which frames and which part of the canvas this process has.
        positions_px: float64 (n, 2), (row, column), where the frames are taken to lie.
        merges: how often subsets were joined.
    """

    saved_fields: ClassVar = ('positions_px', 'merges')

    ops: Ops
    scan: ScanData
    subsets: list[list[FrameBatch]]
    partition: Partition
    positions_px: npt.NDArray[np.float64] = field(init=False)
    merges: int = 0
    # Of all processes; None where this one has the whole scan.
    _whole_batches: list[list[Frames]] | None = None

    def __post_init__(self) -> None:
        """Start at the scan's positions."""
        self.positions_px = self.scan.positions_px.copy()

    @classmethod
    def for_scan(
        cls,
        ops: Ops,
        scan: ScanData,
        count: int,
        *,
        margin_px: int = 0,
        communicator: Communicator | None = None,
    ) -> SubsetBatches:
        """Split a scan.

        Args:
            ops: the framework.
            scan: the scan.
            count: how many subsets.
            margin_px: pixels that the canvas holds around every patch, for positions that move.
            communicator: of the processes that the scan is divided among; None for this one alone.
        """
        whole, pixels = Canvas.for_scan(scan).with_margin(scan, margin_px), ops.batch_pixels
        if communicator is None or communicator.size == 1:
            return cls(ops, scan, split_frames(scan, whole, count, pixels), WholeScan(whole))
        part = ScanPart.of(ops, communicator, scan.positions_px, whole, scan.frame_size, margin_px)
        batches = cls(ops, scan, [], part)
        batches._whole_batches = frames_of_batches(scan, count, pixels)
        batches.subsets = [batches._own_batches(subset) for subset in batches._whole_batches]
        return batches

    @property
    def canvas(self) -> Canvas:
        """The object canvas, of this process."""
        return self.partition.canvas

    def __iter__(self) -> Iterator[FrameBatch]:
        """Return the batches of all subsets, one after the other."""
        return (batch for subset in self.subsets for batch in subset)

    def some_batches(
        self, choose: Callable[[list[Frames]], list[int]]
    ) -> tuple[list[FrameBatch], int]:
        """Return this process's part of some batches of the scan, and how many frames they hold.

        Args:
            choose: returns the numbers of the batches that are wanted, given the frames of each;
                the same in all processes.
        """
        own = list(self)
        divided = self._whole_batches
        if divided is None:
            numbers = choose([batch.frames for batch in own])
            chosen = [own[number] for number in numbers]
            return chosen, sum(len(batch.frames) for batch in chosen)
        whole = [frames for subset in divided for frames in subset]
        wanted = [whole[number] for number in choose(whole)]
        return self._own_batches(wanted), sum(len(frames) for frames in wanted)

    def move_frames(self, positions_px: npt.NDArray[np.float64]) -> None:
        """Let the frames lie at other positions, as far as their patches stay on the canvas.

        Args:
            positions_px: float64 (n, 2), (row, column), object pixels.
        """
        size, whole = self.scan.frame_size, self.partition.whole_canvas
        origin = np.asarray(whole.origin_px)
        lowest = origin + size // 2 + 1
        highest = origin + np.asarray(whole.shape) - (size - size // 2) - 1
        self.positions_px = np.clip(positions_px, lowest, highest)
        self.partition = self.partition.with_positions(self.positions_px)
        corners, shifts = place_frames(self.positions_px, self.canvas, size)
        self.subsets = [
            [
                dataclasses.replace(
                    batch, corners=corners[batch.frames], shifts_px=shifts[batch.frames]
                )
                for batch in subset
            ]
            for subset in self.subsets
        ]

    def merge(self) -> None:
        """Join subsets in pairs, so that an update uses twice as many frames."""
        self.merges += 1
        half = (len(self.subsets) + 1) // 2
        pairs = [list(range(i, len(self.subsets), half)) for i in range(half)]
        self.subsets = _joined(self.subsets, pairs)
        if self._whole_batches is not None:
            self._whole_batches = _joined(self._whole_batches, pairs)

    def restore(self, state: SavedState) -> None:
        """Go on from the state of the batches of the same scan in as many subsets."""
        merges = self.merges
        super().restore(state)
        more, self.merges = self.merges - merges, merges
        for _ in range(more):
            self.merge()
        # Positions that were never moved may lie nearer to the border than moved ones.
        if not np.array_equal(self.positions_px, self.scan.positions_px):
            self.move_frames(self.positions_px)

    def _own_batches(self, whole: Iterable[Frames]) -> list[FrameBatch]:
        """Return the frames of this process among those of some batches of the scan."""
        own = self.partition.frames
        assert own is not None
        frames = np.intersect1d(np.concatenate(list(whole)), own)
        size = max(1, self.ops.batch_pixels // self.scan.frame_size**2)
        placement = place_frames(self.positions_px, self.canvas, self.scan.frame_size)
        return [make_batch(self.scan, some, *placement) for some in split_evenly(frames, size)]


def _joined(lists: list[list[Item]], groups: Iterable[Iterable[int]]) -> list[list[Item]]:
    """Return one list for each group of lists."""
    return [[item for member in group for item in lists[member]] for group in groups]
