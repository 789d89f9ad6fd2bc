"""Batches of frames brought to the device, with what is known of their frames."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.frame_source import frames_in_file
from ptychopinn_plugin.solver.batches import BatchReader, FrameBatch
from ptychopinn_plugin.solver.device_arrays import DeviceArrays
from ptychopinn_plugin.solver.frame_values import FrameValues
from ptychopinn_plugin.solver.kept_frames import KeptFrames
from ptychopinn_plugin.solver.partial_sums import add_in_parts, in_turn
from ptychopinn_plugin.solver.probe_shifts import ProbeShifts
from ptychopinn_plugin.solver.sweeps import DeviceBatch
from ptychopinn_plugin.solver.unknowns import Unknowns

Item = TypeVar('Item')
Sum = TypeVar('Sum')


@dataclass(eq=False)
class DeviceBatches:
    """Brings batches to the device; frames that do not fit there visit it at each sweep.

    Attributes:
        ops: the framework.
        scan: the scan.
        values: of each frame of the scan.
        fixed_probe: True where the probe never changes, so that its shifts can be kept.
        check: called before every batch; raises to stop the work.
        shifts: of a probe that changes.
    """

    ops: Ops
    scan: ScanData
    values: FrameValues
    fixed_probe: bool
    check: Callable[[], None]
    shifts: ProbeShifts = field(init=False)
    _reader: BatchReader = field(init=False)
    _kept: KeptFrames = field(init=False)
    _arrays: DeviceArrays = field(init=False)

    def __post_init__(self) -> None:
        """Keep nothing yet."""
        self.shifts = ProbeShifts(self.ops)
        self._arrays = DeviceArrays(self.ops, self.scan, self.shifts, self.fixed_probe)
        self._reader = BatchReader(in_thread=frames_in_file(self.scan.counts) is not None)
        self._kept = KeptFrames(self.ops)

    def forget_positions(self) -> None:
        """Compute anew what depends on the positions of the frames."""
        self._arrays.forget_positions()

    def read(self, batches: Iterable[FrameBatch]) -> Generator[Array]:
        """Return the amplitudes (b, N, N) of each batch in the memory of the host."""
        return (amplitudes for _, amplitudes in self._reader.read(batches, FrameBatch.read_now))

    def placed(
        self, batches: Iterable[FrameBatch], unknowns: Unknowns, images: Array | None
    ) -> Generator[tuple[FrameBatch, DeviceBatch]]:
        """Return each batch and what of it is on the device.

        Frames in a file are read one batch ahead. Frames that are kept on the device are neither
        read nor sent again.
        """
        batches = list(batches)
        # Before the work on any batch: small arrays that stay, each made between large ones that
        # go, would leave holes in the heap that nothing fits into.
        for batch in batches:
            self._arrays.placement(batch, with_weights=images is not None)
        for batch, amplitudes in self._reader.read(batches, self._kept.amplitudes):
            self.check()
            yield batch, self.to_device(batch, unknowns, images, amplitudes)

    def to_device(
        self,
        batch: FrameBatch,
        unknowns: Unknowns,
        images: Array | None,
        amplitudes: Array | None = None,
    ) -> DeviceBatch:
        """Bring a batch to the device, with what is known of its frames.

        Args:
            batch: the batch.
            unknowns: what the frames are compared with.
            images: from `shift_images`.
            amplitudes: from `KeptFrames.amplitudes`, where they were asked for already.
        """
        array, arrays, probe = self.ops.array, self._arrays, unknowns.probe
        kept = arrays.shifted(batch, probe) if arrays.keeps_probes else None
        corners, shifts, weights = arrays.placement(batch, with_weights=images is not None)
        spectra = None if kept is not None else arrays.spectra(probe, unknowns.variation, images)
        basis = None if unknowns.variation is None else self.values.basis
        trust, flux = self.values.flux_trust, self.values.flux
        return DeviceBatch(
            self._kept.on_device(batch, amplitudes),
            corners,
            shifts,
            kept,
            weights,
            images,
            spectra,
            None if basis is None else array(basis[batch.frames]),
            None if trust is None else array(trust[batch.frames]),
            None if flux is None else array(flux[batch.frames]),
        )

    def shift_images(self, unknowns: Unknowns, frames: float) -> Array | None:
        """Return the images that shifted probes are sums of; None where transforms cost less.

        Args:
            unknowns: with the probe.
            frames: of a sweep.
        """
        if self.fixed_probe:
            return None
        first = 0 if unknowns.variation is None else 1
        return self.shifts.images(unknowns.probe, first, frames)

    def shifted(self, batch: FrameBatch, probe: Array) -> Array:
        """Return a batch's shifted probes over N, kept where the probe is fixed."""
        return self._arrays.shifted(batch, probe)

    def add_in_parts(
        self,
        batches: list[FrameBatch],
        parts: int,
        visit: Callable[[list[FrameBatch]], Generator[Item]],
        start: Callable[[], Sum],
        add: Callable[[Sum, Item], Sum],
    ) -> list[Sum]:
        """Return partial sums of what a visit to the batches gives.

        Args:
            batches: the batches.
            parts: how many sums.
            visit: returns an item for each batch, such as `placed`.
            start: returns a sum before its first item.
            add: returns a sum with an item added.
        """
        ordered = in_turn(batches, parts)
        visited = visit([batch for _, batch in ordered])
        with contextlib.closing(visited), self.ops.workers(parts) as workers:
            numbered = zip((part for part, _ in ordered), visited, strict=True)
            return add_in_parts(workers, numbered, [start() for _ in range(parts)], add)
