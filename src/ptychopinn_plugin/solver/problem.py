"""One scan on one device: sweeps over subsets of its frames."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.physics.noise_models import AMPLITUDE, NOISE_MODELS, NoiseModel
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.saved_state import SavedState, Stateful
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.scan.frame_source import frames_in_file
from ptychopinn_plugin.solver.batches import (
    BatchReader,
    FrameBatch,
    Frames,
    frames_of_batches,
    make_batch,
    place_frames,
    split_evenly,
    split_frames,
)
from ptychopinn_plugin.solver.device_arrays import DeviceArrays
from ptychopinn_plugin.solver.kept_frames import KeptFrames
from ptychopinn_plugin.solver.partial_sums import add_in_parts, in_turn, part_count
from ptychopinn_plugin.solver.parts.communicator import Communicator
from ptychopinn_plugin.solver.parts.partition import Partition, WholeScan
from ptychopinn_plugin.solver.parts.scan_part import ScanPart
from ptychopinn_plugin.solver.probe_shifts import ProbeShifts
from ptychopinn_plugin.solver.subset_sums import Sweep, empty_sums, gradient_images
from ptychopinn_plugin.solver.sweeps import (
    DeviceBatch,
    Sums,
    add_batch,
    add_dose,
    add_sums,
    batch_misfit,
)
from ptychopinn_plugin.solver.unknowns import Unknowns

# Of the mean flux: a frame without any photon has one too.
LEAST_FLUX = 1e-3

Floats = npt.NDArray[np.float32]
Item = TypeVar('Item')
Sum = TypeVar('Sum')


def no_check() -> None:
    """Never ask for a stop."""


@dataclass(eq=False)
class Problem(Stateful):
    """A scan prepared for sweeps; frames that do not fit on the device visit it in batches.

    Attributes:
        ops: the framework.
        scan: the scan.
        subsets: frames assigned to subsets, each a list of batches.
        canvas: the object canvas, of this process.
        fixed_probe: True where the probe never changes, so that its shifts can be kept.
        check: called before every batch; raises to stop the work.
        noise: misfit and exit-wave step.
        good: float32 (N, N), 1 where a detector pixel is used; None where all are.
        total_counts: photons of all frames at good pixels.
        positions_px: float64 (n, 2), (row, column), where the frames are taken to lie.
        flux_trust: float32 (n,), see `DeviceBatch`; None where all frames have the same flux.
        flux: float32 (n,), relative photons of each frame, where it is known; None otherwise.
        photon_ratios: float32 (n,), measured over predicted photons when last visited.
        basis: float32 (n, functions), of the probe's variation along the scan; None without.
        merges: how often subsets were joined.
        partition: which frames and which part of the canvas this process has.
    """

    saved_fields: ClassVar = (
        'positions_px',
        'flux_trust',
        'photon_ratios',
        'basis',
        'merges',
        '_shifts',
    )

    ops: Ops
    scan: ScanData
    subsets: list[list[FrameBatch]]
    canvas: Canvas
    fixed_probe: bool = False
    check: Callable[[], None] = no_check
    noise: NoiseModel = AMPLITUDE
    good: Array | None = None
    total_counts: float = 0.0
    positions_px: npt.NDArray[np.float64] = field(init=False)
    flux_trust: Floats | None = None
    flux: Floats | None = None
    photon_ratios: Floats = field(init=False)
    basis: Floats | None = None
    merges: int = 0
    partition: Partition = field(init=False)
    _whole_batches: list[list[Frames]] | None = None
    _doses: dict[int, Array] = field(default_factory=dict)
    _reader: BatchReader = field(init=False)
    _kept: KeptFrames = field(init=False)
    _shifts: ProbeShifts = field(init=False)
    _device: DeviceArrays = field(init=False)

    def __post_init__(self) -> None:
        """Start at the scan's positions and equal flux."""
        self.partition = WholeScan(self.canvas)
        self._shifts = ProbeShifts(self.ops)
        self._device = DeviceArrays(self.ops, self.scan, self._shifts, self.fixed_probe)
        self._reader = BatchReader(in_thread=frames_in_file(self.scan.counts) is not None)
        self._kept = KeptFrames(self.ops)
        self.positions_px = self.scan.positions_px.copy()
        self.photon_ratios = np.ones(self.scan.frame_count, np.float32)

    @classmethod
    def for_scan(
        cls,
        ops: Ops,
        scan: ScanData,
        subsets: int,
        *,
        fixed_probe: bool,
        check: Callable[[], None] = no_check,
        noise: NoiseModel = AMPLITUDE,
        margin_px: int = 0,
        communicator: Communicator | None = None,
    ) -> Problem:
        """Prepare a scan.

        Args:
            ops: the framework.
            scan: the scan.
            subsets: how many ordered subsets.
            fixed_probe: True where probe, positions and flux never change.
            check: called before every batch; raises to stop the work.
            noise: misfit and exit-wave step.
            margin_px: pixels that the canvas holds around every patch, for positions that move.
            communicator: of the processes that the scan is divided among; None for this one alone.
        """
        canvas = Canvas.for_scan(scan).with_margin(scan, margin_px)
        problem = cls(ops, scan, [], canvas, fixed_probe, check, noise)
        if communicator is None or communicator.size == 1:
            problem.subsets = split_frames(scan, canvas, subsets, ops.batch_pixels)
        else:
            problem._divide(communicator, subsets, margin_px)
        good = ~np.fft.ifftshift(scan.mask)
        if not good.all():
            problem.good = ops.array(good.astype(np.float32))
        # Frames in a file are read for it, which may take as long as a pass does, and be stopped.
        check = no_check if frames_in_file(scan.counts) is None else problem.check
        own_counts = 0.0
        for _, amplitudes in problem._reader.read(problem.batches(), FrameBatch.read_now):
            check()
            own_counts += float(np.einsum('nyx,nyx,yx->', amplitudes, amplitudes, good))
        problem.total_counts = problem.partition.total(own_counts)
        return problem

    def _divide(self, communicator: Communicator, subsets: int, margin_px: int) -> None:
        """Keep the frames and the part of the canvas of one of several processes."""
        scan, ops = self.scan, self.ops
        whole, size = self.canvas, scan.frame_size
        part = ScanPart.of(ops, communicator, scan.positions_px, whole, size, margin_px)
        self.partition, self.canvas = part, part.canvas
        self._whole_batches = frames_of_batches(scan, subsets, ops.batch_pixels)
        self.subsets = [self._own_batches(subset) for subset in self._whole_batches]

    def _own_batches(self, whole: Iterable[Frames]) -> list[FrameBatch]:
        """Return the frames of this process among those of some batches of the scan."""
        own = self.partition.frames
        assert own is not None
        frames = np.intersect1d(np.concatenate(list(whole)), own)
        size = max(1, self.ops.batch_pixels // self.scan.frame_size**2)
        placement = place_frames(self.positions_px, self.canvas, self.scan.frame_size)
        return [make_batch(self.scan, some, *placement) for some in split_evenly(frames, size)]

    def some_batches(
        self, choose: Callable[[list[Frames]], list[int]]
    ) -> tuple[list[FrameBatch], int]:
        """Return this process's part of some batches of the scan, and how many frames they hold.

        Args:
            choose: returns the numbers of the batches that are wanted, given the frames of each;
                the same in all processes.
        """
        own = list(self.batches())
        divided = self._whole_batches
        if divided is None:
            numbers = choose([batch.frames for batch in own])
            chosen = [own[number] for number in numbers]
            return chosen, sum(len(batch.frames) for batch in chosen)
        whole = [frames for subset in divided for frames in subset]
        wanted = [whole[number] for number in choose(whole)]
        return self._own_batches(wanted), sum(len(frames) for frames in wanted)

    def batches(self) -> Iterator[FrameBatch]:
        """Return the batches of all subsets, one after the other."""
        return (batch for subset in self.subsets for batch in subset)

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
        ordered = in_turn(batches, parts)
        visited = visit([batch for _, batch in ordered])
        with contextlib.closing(visited), self.ops.workers(parts) as workers:
            numbered = zip((part for part, _ in ordered), visited, strict=True)
            return add_in_parts(workers, numbered, [start() for _ in range(parts)], add)

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
        batches, with_weights = list(batches), self._shift_images(unknowns) is not None
        # Before the work on any batch: small arrays that stay, each made between large ones that
        # go, would leave holes in the heap that nothing fits into.
        for batch in batches:
            self._device.placement(batch, with_weights=with_weights)
        for batch, amplitudes in self._reader.read(batches, self._kept.amplitudes):
            self.check()
            yield batch, self.to_device(batch, unknowns, amplitudes)

    def sweep(self, unknowns: Unknowns, index: int, *, with_probe: bool) -> Sweep:
        """Compare a subset's frames with the model and sum the gradient images.

        Args:
            unknowns: where the gradients are taken.
            index: which subset.
            with_probe: whether the probe's gradient image is wanted too.
        """
        ops = self.ops
        kept_dose = self._doses.get(index) if self.fixed_probe else None
        start = functools.partial(
            empty_sums,
            ops,
            self.canvas.shape,
            unknowns,
            self._shift_images(unknowns),
            with_dose=kept_dose is None,
            with_probe=with_probe,
        )
        # Brought back after the last batch: each time, a device is waited for.
        ratios: list[tuple[FrameBatch, Array]] = []

        def add(sums: Sums, batch: FrameBatch, placed: DeviceBatch) -> Sums:
            sums, found = ops.compiled(add_batch)(self.noise, sums, unknowns, placed, self.good)
            if found is not None:
                ratios.append((batch, found))
            return sums

        parts = self.partial_sums(self.subsets[index], unknowns, start, add, on_canvas=True)
        sums = functools.reduce(ops.compiled(add_sums), parts)
        for batch, found in ratios:
            self.photon_ratios[batch.frames] = ops.numpy(found)
        dose = kept_dose
        if sums.dose is not None:
            dose = self.partition.add_overlaps(sums.dose * float(self.scan.frame_size**2))
        if self.fixed_probe:
            self._doses[index] = dose
        return gradient_images(ops, self.partition, sums, dose, self._shifts.factors)

    def share_ratios(self) -> None:
        """Let every process know the photon ratios of all frames."""
        frames = self.partition.frames
        if frames is None or self.flux_trust is None:
            return
        own = np.zeros(self.scan.frame_count)
        own[frames] = self.photon_ratios[frames]
        self.photon_ratios = self.partition.total_values(own).astype(np.float32)

    def _shift_images(self, unknowns: Unknowns) -> Array | None:
        """Return the images that shifted probes are sums of; None where transforms cost less."""
        if self.fixed_probe:
            return None
        first = 0 if unknowns.variation is None else 1
        frames = self.scan.frame_count / len(self.subsets)
        return self._shifts.images(unknowns.probe, first, frames)

    @property
    def good_pixels(self) -> int:
        """Detector pixels of all frames that are used."""
        return int(np.count_nonzero(~self.scan.mask)) * self.scan.frame_count

    def misfit(self, index: int, unknowns: Unknowns) -> float:
        """Return the misfit over a subset's good pixels."""
        ops = self.ops

        def add(total: Array, _: FrameBatch, placed: DeviceBatch) -> Array:
            return total + ops.compiled(batch_misfit)(self.noise, unknowns, placed, self.good)

        zero = functools.partial(ops.zeros, (), 'float32')
        parts = self.partial_sums(self.subsets[index], unknowns, zero, add)
        return self.partition.total(ops.number(sum(parts[1:], parts[0])))

    def to_device(
        self,
        batch: FrameBatch,
        unknowns: Unknowns,
        amplitudes: Array | None = None,
    ) -> DeviceBatch:
        """Bring a batch to the device, with what is known of its frames.

        Args:
            batch: the batch.
            unknowns: what the frames are compared with.
            amplitudes: from `KeptFrames.amplitudes`, where they were asked for already.
        """
        array = self.ops.array
        device, probe = self._device, unknowns.probe
        kept = device.shifted(batch, probe) if device.keeps_probes else None
        images = self._shift_images(unknowns)
        corners, shifts, weights = device.placement(batch, with_weights=images is not None)
        spectra = None if kept is not None else device.spectra(probe, unknowns.variation, images)
        basis = None if unknowns.variation is None else self.basis
        trust, flux = self.flux_trust, self.flux
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

    def shifted(self, batch: FrameBatch, probe: Array) -> Array:
        """Return a batch's shifted probes over N, kept where the probe is fixed."""
        return self._device.shifted(batch, probe)

    def relative_flux(self) -> npt.NDArray[np.float64] | None:
        """Return the photons of each frame over their mean, (n,); None where all are alike."""
        flux = self.flux
        if flux is None and self.flux_trust is not None and self.flux_trust.any():
            flux = 1 + self.flux_trust * (self.photon_ratios - 1)
        if flux is None:
            return None
        positive = np.maximum(flux.astype(np.float64), LEAST_FLUX)
        return np.asarray(positive / positive.mean())

    def relative_powers(self, unknowns: Unknowns) -> npt.NDArray[np.float64]:
        """Return the power of each frame's main mode relative to the mean one, float64 (n,)."""
        if self.basis is None or unknowns.variation is None:
            return np.ones(self.scan.frame_count)
        parts = [self.ops.numpy(unknowns.probe)[:1], self.ops.numpy(unknowns.variation)]
        flat = np.concatenate(parts).reshape(1 + len(parts[1]), -1).astype(np.complex128)
        products = (flat.conj() @ flat.T).real
        weights = np.column_stack([np.ones(len(self.basis)), self.basis])
        return np.asarray(np.sum((weights @ products) * weights, axis=1) / products[0, 0])

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
        self.canvas = self.partition.canvas
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
        self._device.forget_positions()
        self._doses = {}

    def merge_subsets(self) -> None:
        """Join subsets in pairs, so that an update uses twice as many frames."""
        self.merges += 1
        half = (len(self.subsets) + 1) // 2
        pairs = [list(range(i, len(self.subsets), half)) for i in range(half)]
        # Computed anew: a solver that goes on from its saved state sums them in the same order.
        self._doses = {}
        self.subsets = _joined(self.subsets, pairs)
        if self._whole_batches is not None:
            self._whole_batches = _joined(self._whole_batches, pairs)

    def saved_state(self) -> SavedState:
        """Return what changes between passes."""
        noise = SavedState.of(name=self.noise.name)
        return SavedState.joined({'': super().saved_state(), 'noise': noise})

    def restore(self, state: SavedState) -> None:
        """Go on from the state of a problem of the same scan and as many subsets."""
        merges = self.merges
        super().restore(state)
        self.noise = NOISE_MODELS[state.part('noise').text('name')]
        more, self.merges = self.merges - merges, merges
        for _ in range(more):
            self.merge_subsets()
        # Positions that were never moved may lie nearer to the border than moved ones.
        if not np.array_equal(self.positions_px, self.scan.positions_px):
            self.move_frames(self.positions_px)

    def dose(self, probe: Array) -> Array:
        """Return |probe|^2 summed over all frames, float32 (H, W): photons an object pixel."""
        ops = self.ops
        if len(self._doses) == len(self.subsets):
            return sum(self._doses.values())

        def visit(batches: list[FrameBatch]) -> Generator[FrameBatch]:
            for batch in batches:
                self.check()
                yield batch

        def add(total: Array, batch: FrameBatch) -> Array:
            probes = self._device.shifted(batch, probe)
            return ops.compiled(add_dose)(total, ops.array(batch.corners), probes)

        zeros = functools.partial(ops.zeros, self.canvas.shape, 'float32')
        parts = self._in_parts(list(self.batches()), visit, zeros, add, on_canvas=True)
        total = sum(parts[1:], parts[0])
        return self.partition.add_overlaps(total * float(self.scan.frame_size**2))


def _joined(lists: list[list[Item]], groups: Iterable[Iterable[int]]) -> list[list[Item]]:
    """Return one list for each group of lists."""
    return [[item for member in group for item in lists[member]] for group in groups]
