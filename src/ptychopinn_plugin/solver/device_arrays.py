"""Arrays of the batches that stay on the device between sweeps: places, and probes."""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from ptychopinn_plugin.physics.ops import Array, Ops
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.solver.batches import FrameBatch
from ptychopinn_plugin.solver.probe_shifts import ProbeShifts
from ptychopinn_plugin.solver.sweeps import batch_probes, mode_spectra

# Shifted probes of a fixed probe are kept between sweeps up to this many bytes.
PROBE_CACHE_BYTES = 2**27


@dataclass(eq=False)
class DeviceArrays:
    """What the frames of batches have on the device beside their amplitudes.

    Attributes:
        ops: the framework.
        scan: the scan.
        shifts: of a probe that changes.
        fixed_probe: True where the probe never changes, so that its shifts can be kept.
    """

    ops: Ops
    scan: ScanData
    shifts: ProbeShifts
    fixed_probe: bool
    # By the batches themselves, not their addresses: a later batch may have the address of one that
    # is gone, and would be given its places.
    _probes: WeakKeyDictionary[FrameBatch, Array] = field(default_factory=WeakKeyDictionary)
    _placements: WeakKeyDictionary[
        FrameBatch, tuple[int | None, tuple[Array, Array, Array | None]]
    ] = field(default_factory=WeakKeyDictionary)
    _spectra: tuple[Array, Array | None, tuple[Array, Array | None]] | None = None

    @property
    def keeps_probes(self) -> bool:
        """Whether the probe is fixed and its shifts for all frames small enough to keep."""
        scan = self.scan
        size = 8 * scan.frame_count * scan.mode_count * scan.frame_size**2
        return self.fixed_probe and size <= PROBE_CACHE_BYTES

    def forget_positions(self) -> None:
        """Compute anew what depends on the positions of the frames."""
        self._probes, self._placements = WeakKeyDictionary(), WeakKeyDictionary()

    def placement(
        self, batch: FrameBatch, *, with_weights: bool
    ) -> tuple[Array, Array, Array | None]:
        """Return corners, shifts and their weights on the device, kept until the frames move."""
        array, degree = self.ops.array, self.shifts.degree if with_weights else None
        kept = self._placements.get(batch)
        if kept is None or kept[0] != degree:
            shifts = batch.shifts_px
            weights = array(self.shifts.weights(shifts)) if with_weights else None
            kept = (degree, (array(batch.corners), array(shifts), weights))
            self._placements[batch] = kept
        return kept[1]

    def shifted(self, batch: FrameBatch, probe: Array) -> Array:
        """Return a batch's shifted probes over N, kept where the probe is fixed."""
        kept = self._probes.get(batch)
        if kept is not None:
            return kept
        shifts, compiled = self.ops.array(batch.shifts_px), self.ops.compiled
        probes, _ = compiled(batch_probes)(compiled(mode_spectra)(probe, None), shifts, None)
        if self.keeps_probes:
            self._probes[batch] = probes
        return probes

    def spectra(
        self, probe: Array, variation: Array | None, images: Array | None
    ) -> tuple[Array, Array | None] | None:
        """Return the transforms of the modes without shift images, the same for all batches.

        Args:
            probe: complex64 (modes, N, N).
            variation: complex64 (functions, N, N); None without.
            images: complex64 (terms, k, N, N), of the last k modes; None without.
        """
        modes = probe.shape[0] - (0 if images is None else images.shape[1])
        if not modes:
            return None
        last = self._spectra
        if last is None or last[0] is not probe or last[1] is not variation:
            found = self.ops.compiled(mode_spectra)(probe[:modes], variation)
            last = self._spectra = (probe, variation, found)
        return last[2]
