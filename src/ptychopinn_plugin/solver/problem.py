"""One scan on one device: sweeps over subsets of its frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ptychopinn_plugin.contract import ScanData
from ptychopinn_plugin.contract.canvas import Canvas, canvas_of
from ptychopinn_plugin.physics.forward import (
    expected_counts,
    propagate,
    shift_ramps,
    shifted_probes,
)
from ptychopinn_plugin.physics.likelihood import amplitude_deviance
from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.physics.projection import (
    exit_residual,
    illumination,
    object_direction,
    probe_direction,
)
from ptychopinn_plugin.solver.frames import FrameBatch, split_frames

# Shifted probes of a fixed probe are kept between sweeps up to this many bytes.
PROBE_CACHE_BYTES = 2**27


@dataclass(frozen=True, eq=False)
class Sweep:
    """What one sweep over a subset gives.

    Attributes:
        misfit: sum (sqrt(expected) - sqrt(counts))^2 over the subset's good pixels.
        direction: complex64 (H, W), gradient image of the object, not yet preconditioned.
        dose: float32 (H, W), summed |probe|^2.
        probe_direction: complex64 (modes, N, N), gradient image of the probe, or None.
        object_power: greatest summed |patch|^2 over the probe's pixels, or None.
    """

    misfit: float
    direction: Array
    dose: Array
    probe_direction: Array | None = None
    object_power: Array | None = None


@dataclass(eq=False)
class _Sums:
    """Running sums of a sweep, on the device."""

    misfit: Array
    direction: Array
    dose: Array | None
    probe_spectrum: Array
    object_power: Array


def _no_check() -> None:
    """Never ask for a stop."""


@dataclass(eq=False)
class Problem:
    """A scan prepared for sweeps; frames stay on the host and visit the device in batches.

    Attributes:
        ops: the framework.
        scan: the scan.
        subsets: frames dealt into subsets of batches.
        canvas: the object canvas.
        fixed_probe: True where the probe never changes, so that its shifts can be kept.
        check: called before every batch; raises to stop the work.
    """

    ops: Ops
    scan: ScanData
    subsets: list[list[FrameBatch]]
    canvas: Canvas
    fixed_probe: bool = False
    check: Callable[[], None] = _no_check
    good: Array | None = None
    total_counts: float = 0.0
    _probes: dict[int, Array] = field(default_factory=dict)
    _doses: dict[int, Array] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        ops: Ops,
        scan: ScanData,
        subsets: int,
        *,
        fixed_probe: bool,
        check: Callable[[], None] = _no_check,
    ) -> Problem:
        """Prepare a scan."""
        canvas = canvas_of(scan)
        problem = cls(
            ops,
            scan,
            split_frames(scan, canvas, subsets, ops.batch_pixels),
            canvas,
            fixed_probe,
            check,
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
        shape, size = self.canvas.shape, self.scan.frame_size
        kept_dose = self._doses.get(index) if self.fixed_probe else None
        sums = _Sums(
            misfit=ops.zeros((), 'float32'),
            direction=ops.zeros(shape, 'complex64'),
            dose=ops.zeros(shape, 'float32') if kept_dose is None else None,
            probe_spectrum=ops.zeros(tuple(probe.shape), 'complex64'),
            object_power=ops.zeros((size, size), 'float32'),
        )
        for batch in self.subsets[index]:
            self.check()
            self._sum_batch(sums, batch, canvas_object, probe, with_probe=with_probe)
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

    def misfit(self, index: int, canvas_object: Array, probe: Array) -> float:
        """Return sum (sqrt(expected) - sqrt(counts))^2 over a subset's good pixels."""
        ops = self.ops
        total = ops.zeros((), 'float32')
        for batch in self.subsets[index]:
            self.check()
            expected = self.expected(batch, canvas_object, probe)
            amplitudes = ops.array(batch.amplitudes)
            total = total + amplitude_deviance(ops, expected, amplitudes, self.good)
        return ops.number(total)

    def _sum_batch(
        self,
        sums: _Sums,
        batch: FrameBatch,
        canvas_object: Array,
        probe: Array,
        *,
        with_probe: bool,
    ) -> None:
        """Add one batch to the sums of a sweep."""
        ops = self.ops
        corners = ops.array(batch.corners)
        amplitudes = ops.array(batch.amplitudes)
        probes, ramps = self._shifted(batch, probe, with_ramps=with_probe)
        patches = ops.cut(canvas_object, corners, self.scan.frame_size)
        waves = propagate(ops, probes, patches)
        expected = expected_counts(ops, waves)
        sums.misfit = sums.misfit + amplitude_deviance(ops, expected, amplitudes, self.good)
        residual = exit_residual(ops, waves, expected, amplitudes, self.good)
        sums.direction = ops.add(sums.direction, object_direction(ops, probes, residual), corners)
        if sums.dose is not None:
            sums.dose = ops.add(sums.dose, illumination(ops, probes), corners)
        if with_probe and ramps is not None:
            spectrum = probe_direction(ops, patches, residual, ramps)
            sums.probe_spectrum = sums.probe_spectrum + spectrum
            sums.object_power = sums.object_power + ops.sum(ops.abs2(patches), (0,))

    def expected(self, batch: FrameBatch, canvas_object: Array, probe: Array) -> Array:
        """Return the photons expected in a batch's frames, (b, N, N), zero frequency at index 0."""
        probes, _ = self._shifted(batch, probe, with_ramps=False)
        patches = self.ops.cut(canvas_object, self.ops.array(batch.corners), self.scan.frame_size)
        return expected_counts(self.ops, propagate(self.ops, probes, patches))

    def _shifted(
        self, batch: FrameBatch, probe: Array, *, with_ramps: bool
    ) -> tuple[Array, tuple[Array, Array] | None]:
        """Return a batch's shifted probes, kept where the probe is fixed, and their ramps."""
        kept = self._probes.get(id(batch))
        if kept is not None and not with_ramps:
            return kept, None
        ops = self.ops
        ramps = shift_ramps(ops, ops.array(batch.shifts_px), self.scan.frame_size)
        probes = shifted_probes(ops, probe, ramps)
        if self.fixed_probe and self._cache_fits():
            self._probes[id(batch)] = probes
        return probes, ramps

    def _cache_fits(self) -> bool:
        """Say whether the shifted probes of all frames are small enough to keep."""
        scan = self.scan
        return 8 * scan.frame_count * scan.mode_count * scan.frame_size**2 <= PROBE_CACHE_BYTES

    def merge_subsets(self) -> None:
        """Join subsets in pairs, so that an update hears twice as many frames."""
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
        total = ops.zeros(self.canvas.shape, 'float32')
        for subset in self.subsets:
            for batch in subset:
                self.check()
                probes, _ = self._shifted(batch, probe, with_ramps=False)
                total = ops.add(total, illumination(ops, probes), ops.array(batch.corners))
        return total
