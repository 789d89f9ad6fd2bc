"""One scan on one device: sweeps over subsets of its frames."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from ptychopinn_plugin.physics.noise_models import AMPLITUDE, NOISE_MODELS, NoiseModel
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.saved_state import SavedState
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.frame_source import frames_in_file
from ptychopinn_plugin.solver.batched_scan import BatchedScan, no_check
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.parts.communicator import Communicator
from ptychopinn_plugin.solver.subset_batches import SubsetBatches
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


@dataclass(eq=False)
class Problem(BatchedScan):
    """A scan prepared for sweeps, see `BatchedScan`.

    Attributes:
        noise: misfit and exit-wave step.
        good: float32 (N, N), 1 where a detector pixel is used; None where all are.
        total_counts: photons of all frames at good pixels.
    """

    noise: NoiseModel = AMPLITUDE
    good: Array | None = None
    total_counts: float = 0.0

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
        frames = SubsetBatches.for_scan(
            ops, scan, subsets, margin_px=margin_px, communicator=communicator
        )
        problem = cls(ops, scan, frames, fixed_probe, check, noise=noise)
        good = ~np.fft.ifftshift(scan.mask)
        if not good.all():
            problem.good = ops.array(good.astype(np.float32))
        # Frames in a file are read for it, which may take as long as a pass does, and be stopped.
        check = no_check if frames_in_file(scan.counts) is None else problem.check
        own_counts = 0.0
        for amplitudes in problem._device.read(frames):
            check()
            own_counts += float(np.einsum('nyx,nyx,yx->', amplitudes, amplitudes, good))
        problem.total_counts = problem.partition.total(own_counts)
        return problem

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
            self.frame_values.photon_ratios[batch.frames] = ops.numpy(found)
        dose = kept_dose
        if sums.dose is not None:
            dose = self.partition.add_overlaps(sums.dose * float(self.scan.frame_size**2))
        if self.fixed_probe:
            self._doses[index] = dose
        return gradient_images(ops, self.partition, sums, dose, self._device.shifts.factors)

    def misfit(self, index: int, unknowns: Unknowns) -> float:
        """Return the misfit over a subset's good pixels."""
        ops = self.ops

        def add(total: Array, _: FrameBatch, placed: DeviceBatch) -> Array:
            return total + ops.compiled(batch_misfit)(self.noise, unknowns, placed, self.good)

        zero = functools.partial(ops.zeros, (), 'float32')
        parts = self.partial_sums(self.subsets[index], unknowns, zero, add)
        return self.partition.total(ops.number(sum(parts[1:], parts[0])))

    @property
    def good_pixels(self) -> int:
        """Detector pixels of all frames that are used."""
        return int(np.count_nonzero(~self.scan.mask)) * self.scan.frame_count

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

    def saved_state(self) -> SavedState:
        """Return what changes between passes."""
        noise = SavedState.of(name=self.noise.name)
        return SavedState.joined({'': super().saved_state(), 'noise': noise})

    def restore(self, state: SavedState) -> None:
        """Go on from the state of a problem of the same scan and as many subsets."""
        super().restore(state)
        self.noise = NOISE_MODELS[state.part('noise').text('name')]
