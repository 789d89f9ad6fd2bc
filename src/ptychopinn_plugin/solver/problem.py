"""One scan on one device: sweeps over subsets of its frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ptychopinn_plugin.physics.noise_models import AMPLITUDE, NoiseModel
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.solver.batches import FrameBatch, split_frames
from ptychopinn_plugin.solver.sweeps import (
    DeviceBatch,
    Sums,
    add_batch,
    add_dose,
    batch_counts,
    batch_misfit,
    batch_probes,
)

# Shifted probes of a fixed probe are kept between sweeps up to this many bytes.
PROBE_CACHE_BYTES = 2**27


@dataclass(frozen=True, eq=False)
class Sweep:
    """The sums of one sweep over a subset.

    Attributes:
        misfit: of the noise model, over the subset's good pixels.
        direction: complex64 (H, W), gradient image of the object, not yet preconditioned.
        dose: float32 (H, W), summed |probe|^2.
        probe_direction: complex64 (modes, N, N), gradient image of the probe, or None.
        object_power: largest summed |patch|^2 over the probe's pixels, or None.
    """

    misfit: float
    direction: Array
    dose: Array
    probe_direction: Array | None = None
    object_power: Array | None = None


def _no_check() -> None:
    """Never ask for a stop."""


@dataclass(eq=False)
class Problem:
    """A scan prepared for sweeps; frames stay on the host and visit the device in batches.

    Attributes:
        ops: the framework.
        scan: the scan.
        subsets: frames assigned to subsets, each a list of batches.
        canvas: the object canvas.
        fixed_probe: True where the probe never changes, so that its shifts can be kept.
        noise: misfit and exit-wave step.
        check: called before every batch; raises to stop the work.
        good: float32 (N, N), 1 where a detector pixel is used; None where all are.
        total_counts: photons of all frames at good pixels.
    """

    ops: Ops
    scan: ScanData
    subsets: list[list[FrameBatch]]
    canvas: Canvas
    fixed_probe: bool = False
    check: Callable[[], None] = _no_check
    noise: NoiseModel = AMPLITUDE
    good: Array | None = None
    total_counts: float = 0.0
    _probes: dict[int, Array] = field(default_factory=dict)
    _doses: dict[int, Array] = field(default_factory=dict)

    @classmethod
    def for_scan(
        cls,
        ops: Ops,
        scan: ScanData,
        subsets: int,
        *,
        fixed_probe: bool,
        check: Callable[[], None] = _no_check,
        noise: NoiseModel = AMPLITUDE,
    ) -> Problem:
        """Prepare a scan.

        Args:
            ops: the framework.
            scan: the scan.
            subsets: how many ordered subsets.
            fixed_probe: True where the probe never changes.
            check: called before every batch; raises to stop the work.
            noise: misfit and exit-wave step.
        """
        canvas = Canvas.for_scan(scan)
        problem = cls(
            ops,
            scan,
            split_frames(scan, canvas, subsets, ops.batch_pixels),
            canvas,
            fixed_probe,
            check,
            noise,
        )
        good = ~np.fft.ifftshift(scan.mask)
        if not good.all():
            problem.good = ops.array(good.astype(np.float32))
        problem.total_counts = sum(
            float(np.einsum('nyx,nyx,yx->', batch.amplitudes, batch.amplitudes, good))
            for subset in problem.subsets
            for batch in subset
        )
        return problem

    def sweep(self, canvas_object: Array, probe: Array, index: int, *, with_probe: bool) -> Sweep:
        """Compare a subset's frames with the model and sum the gradient images.

        Args:
            canvas_object: complex64 (H, W).
            probe: complex64 (modes, N, N).
            index: which subset.
            with_probe: whether the probe's gradient image is wanted too.
        """
        ops = self.ops
        kept_dose = self._doses.get(index) if self.fixed_probe else None
        sums = self._empty_sums(probe, with_dose=kept_dose is None, with_probe=with_probe)
        for batch in self.subsets[index]:
            self.check()
            device_batch = self._to_device(batch, probe)
            sums = ops.compiled(add_batch)(
                self.noise, sums, canvas_object, probe, device_batch, self.good
            )
        dose = kept_dose if sums.dose is None else sums.dose
        if self.fixed_probe:
            self._doses[index] = dose
        return Sweep(
            ops.number(sums.misfit),
            sums.direction,
            dose,
            ops.ifft2(sums.probe_spectrum) if with_probe else None,
            ops.max(sums.object_power) if with_probe else None,
        )

    def _empty_sums(self, probe: Array, *, with_dose: bool, with_probe: bool) -> Sums:
        """Return the sums before the first batch."""
        zeros, shape, size = self.ops.zeros, self.canvas.shape, self.scan.frame_size
        return Sums(
            misfit=zeros((), 'float32'),
            direction=zeros(shape, 'complex64'),
            dose=zeros(shape, 'float32') if with_dose else None,
            probe_spectrum=zeros(tuple(probe.shape), 'complex64') if with_probe else None,
            object_power=zeros((size, size), 'float32') if with_probe else None,
        )

    def misfit(self, index: int, canvas_object: Array, probe: Array) -> float:
        """Return the misfit over a subset's good pixels."""
        ops = self.ops
        total = ops.zeros((), 'float32')
        for batch in self.subsets[index]:
            self.check()
            device_batch = self._to_device(batch, probe)
            total = total + ops.compiled(batch_misfit)(
                self.noise, canvas_object, probe, device_batch, self.good
            )
        return ops.number(total)

    def expected(self, batch: FrameBatch, canvas_object: Array, probe: Array) -> Array:
        """Return the photons expected in a batch's frames, (b, N, N), zero frequency at index 0."""
        corners, probes = self.ops.array(batch.corners), self.shifted(batch, probe)
        return self.ops.compiled(batch_counts)(canvas_object, corners, probes)

    def _to_device(self, batch: FrameBatch, probe: Array) -> DeviceBatch:
        """Bring a batch to the device."""
        array = self.ops.array
        kept = self.shifted(batch, probe) if self._keeps_probes() else None
        return DeviceBatch(
            array(batch.amplitudes), array(batch.corners), array(batch.shifts_px), kept
        )

    def shifted(self, batch: FrameBatch, probe: Array) -> Array:
        """Return a batch's shifted probes, kept where the probe is fixed."""
        kept = self._probes.get(id(batch))
        if kept is not None:
            return kept
        probes = self.ops.compiled(batch_probes)(probe, self.ops.array(batch.shifts_px))
        if self._keeps_probes():
            self._probes[id(batch)] = probes
        return probes

    def _keeps_probes(self) -> bool:
        """Return whether the probe is fixed and its shifts for all frames small enough to keep."""
        scan = self.scan
        size = 8 * scan.frame_count * scan.mode_count * scan.frame_size**2
        return self.fixed_probe and size <= PROBE_CACHE_BYTES

    def merge_subsets(self) -> None:
        """Join subsets in pairs, so that an update uses twice as many frames."""
        half = (len(self.subsets) + 1) // 2
        pairs = [list(range(i, len(self.subsets), half)) for i in range(half)]
        doses = self._doses
        self._doses = {}
        for index, pair in enumerate(pairs):
            if all(member in doses for member in pair):
                self._doses[index] = sum(doses[member] for member in pair[1:]) + doses[pair[0]]
        self.subsets = [
            [batch for member in pair for batch in self.subsets[member]] for pair in pairs
        ]

    def dose(self, probe: Array) -> Array:
        """Return |probe|^2 summed over all frames, float32 (H, W): photons an object pixel."""
        ops = self.ops
        if len(self._doses) == len(self.subsets):
            return sum(self._doses.values())
        total = ops.zeros(self.canvas.shape, 'float32')
        for subset in self.subsets:
            for batch in subset:
                self.check()
                probes = self.shifted(batch, probe)
                total = ops.compiled(add_dose)(total, ops.array(batch.corners), probes)
        return total
