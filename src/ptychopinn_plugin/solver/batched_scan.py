"""A scan in batches on one device, and sums over the batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.device_batches import DeviceBatches
from ptychopinn_plugin.solver.frame_values import FrameValues
from ptychopinn_plugin.solver.partial_sums import part_count
from ptychopinn_plugin.solver.parts.partition import Partition
from ptychopinn_plugin.solver.subset_batches import SubsetBatches
from ptychopinn_plugin.solver.sweeps import DeviceBatch
from ptychopinn_plugin.solver.unknowns import Unknowns

Item = TypeVar('Item')
Sum = TypeVar('Sum')


def no_check() -> None:
    """Never ask for a stop."""


@dataclass(eq=False)
class BatchedScan(Stateful):
    """A scan whose batches visit a device; frames that do not fit there visit it at each sweep.

    Attributes:
        ops: the framework.
        scan: the scan.
        frames: in subsets and batches, on the canvas of this process.
        fixed_probe: True where the probe never changes, so that its shifts can be kept.
        check: called before every batch; raises to stop the work.
        frame_values: photons and variation of the probe of each frame.
    """

    saved_fields: ClassVar = ('frames', 'frame_values', '_shifts')

    ops: Ops
    scan: ScanData
    frames: SubsetBatches
    fixed_probe: bool = False
    check: Callable[[], None] = no_check
    frame_values: FrameValues = field(init=False)
    _doses: dict[int, Array] = field(default_factory=dict, init=False)
    _device: DeviceBatches = field(init=False)

    def __post_init__(self) -> None:
        """Start at equal flux, with nothing on the device."""
        self.frame_values = FrameValues(self.scan.frame_count)
        self._device = DeviceBatches(
            self.ops, self.scan, self.frame_values, self.fixed_probe, self.check
        )

    @property
    def subsets(self) -> list[list[FrameBatch]]:
        """The batches of each subset, of this process."""
        return self.frames.subsets

    @property
    def partition(self) -> Partition:
        """Which frames and which part of the canvas this process has."""
        return self.frames.partition

    @property
    def canvas(self) -> Canvas:
        """The object canvas, of this process."""
        return self.frames.canvas

    @property
    def positions_px(self) -> npt.NDArray[np.float64]:
        """Where the frames are taken to lie, float64 (n, 2), (row, column)."""
        return self.frames.positions_px

    @property
    def _shifts(self) -> Stateful:
        """What the probe's shifts go on from."""
        return self._device.shifts

    def batches(self) -> Iterator[FrameBatch]:
        """Return the batches of all subsets, one after the other."""
        return iter(self.frames)

    def partial_sums(
        self,
        batches: Iterable[FrameBatch],
        unknowns: Unknowns,
        start: Callable[[], Sum],
        add: Callable[[Sum, FrameBatch, DeviceBatch], Sum],
        *,
        on_canvas: bool = False,
    ) -> list[Sum]:
        """Return sums over some of the batches each, to be added in their order.

        Args:
            batches: the batches.
            unknowns: what the frames are compared with.
            start: returns a sum before its first batch.
            add: returns a sum with a batch added, whose arrays it may change in place; called in
                several threads, for each sum in one at a time.
            on_canvas: whether a sum is as large as the canvas.

        Raises:
            What `check` or `add` has raised.
        """
        return self._in_parts(
            list(batches),
            lambda ordered: self.placed(ordered, unknowns),
            start,
            lambda total, item: add(total, *item),
            on_canvas=on_canvas,
        )

    def _in_parts(
        self,
        batches: list[FrameBatch],
        visit: Callable[[list[FrameBatch]], Generator[Item]],
        start: Callable[[], Sum],
        add: Callable[[Sum, Item], Sum],
        *,
        on_canvas: bool,
    ) -> list[Sum]:
        """Return partial sums of what a visit to the batches gives."""
        parts = self.parts_of(batches, on_canvas=on_canvas)
        return self._device.add_in_parts(batches, parts, visit, start, add)

    def parts_of(self, batches: list[FrameBatch], *, on_canvas: bool = False) -> int:
        """Return how many partial sums some batches have, see `partial_sums`."""
        if not self.ops.threads:
            return 1
        pixels = sum(len(batch.frames) for batch in batches) * self.scan.frame_size**2
        height, width = self.canvas.shape
        return part_count(len(batches), pixels, height * width if on_canvas else 0)

    def placed(
        self, batches: Iterable[FrameBatch], unknowns: Unknowns
    ) -> Generator[tuple[FrameBatch, DeviceBatch]]:
        """Return each batch and what of it is on the device.

        Frames in a file are read one batch ahead. Frames that are kept on the device are neither
        read nor sent again.
        """
        return self._device.placed(batches, unknowns, self._shift_images(unknowns))

    def to_device(self, batch: FrameBatch, unknowns: Unknowns) -> DeviceBatch:
        """Bring a batch to the device, with what is known of its frames.

        Args:
            batch: the batch.
            unknowns: what the frames are compared with.
        """
        return self._device.to_device(batch, unknowns, self._shift_images(unknowns))

    def shifted(self, batch: FrameBatch, probe: Array) -> Array:
        """Return a batch's shifted probes over N, kept where the probe is fixed."""
        return self._device.shifted(batch, probe)

    def _shift_images(self, unknowns: Unknowns) -> Array | None:
        """Return the images that shifted probes are sums of; None where transforms cost less."""
        return self._device.shift_images(unknowns, self.scan.frame_count / len(self.subsets))

    def move_frames(self, positions_px: npt.NDArray[np.float64]) -> None:
        """Let the frames lie at other positions, as far as their patches stay on the canvas.

        Args:
            positions_px: float64 (n, 2), (row, column), object pixels.
        """
        self.frames.move_frames(positions_px)
        self._forget_places()

    def merge_subsets(self) -> None:
        """Join subsets in pairs, so that an update uses twice as many frames."""
        self.frames.merge()
        # Computed anew: a solver that goes on from its saved state sums them in the same order.
        self._doses = {}

    def _forget_places(self) -> None:
        """Compute anew what depends on where the frames lie and how they are divided."""
        self._device.forget_positions()
        self._doses = {}

    def restore(self, state: SavedState) -> None:
        """Go on from the state of the same scan in as many subsets."""
        super().restore(state)
        self._forget_places()
