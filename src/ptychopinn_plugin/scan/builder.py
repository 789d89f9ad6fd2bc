"""Builder of scans: readers fill in the arrays, all faults are collected and reported at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, ParamSpec, TypeVar

import numpy as np

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan.data import (
    BoolArray,
    ComplexArray,
    FloatArray,
    PositionArray,
    ScanData,
    ScanMetadata,
)
from ptychopinn_plugin.scan.photon_scale import match_probe
from ptychopinn_plugin.scan.value_checks import position_faults, probe_value_faults

Args = ParamSpec('Args')
Value = TypeVar('Value')


@dataclass
class ScanBuilder:
    """The arrays of a scan as far as they could be read; None where one could not.

    Attributes:
        source: where the scan comes from.
        counts: photons, as in `ScanData`; values under the mask may be anything.
        positions_px: as in `ScanData`.
        probe: as in `ScanData`, in any scale.
        mask: as in `ScanData`; None masks nothing.
        object_guess: as in `ScanData`.
        true_patches: as in `ScanData`.
        metadata: as in `ScanData`.
        faults: found so far.
        decisions: how the source was interpreted, so far.
    """

    source: str
    counts: FloatArray | None = None
    positions_px: PositionArray | None = None
    probe: ComplexArray | None = None
    mask: BoolArray | None = None
    object_guess: ComplexArray | None = None
    true_patches: ComplexArray | None = None
    metadata: ScanMetadata = field(default_factory=ScanMetadata)
    faults: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)

    def attempt(
        self, read: Callable[Args, Value], *args: Args.args, **options: Args.kwargs
    ) -> Value | None:
        """Return the result of `read`, or keep its faults and return None."""
        try:
            return read(*args, **options)
        except ScanDataError as error:
            self.faults += error.faults
            return None

    def build(self, frame_factor: float = 1.0) -> ScanData:
        """Return the checked scan, its masked pixels zero and its probe in photons.

        Args:
            frame_factor: that the frames' intensities were multiplied by to become photons.

        Raises:
            ScanDataError: with every fault of every array.
        """
        if self.counts is None:
            self._raise_without_frames()
        shape = self.counts.shape[1:]
        mask = np.zeros(shape, dtype=np.bool_) if self.mask is None else self.mask
        # A mask of another shape is reported by the check of the scan.
        if mask.any() and mask.shape == shape:
            self.counts[:, mask] = 0
        if self.probe is not None and not probe_value_faults(self.probe):
            self.probe = match_probe(self.probe, self.counts, frame_factor, self.decisions)
        scan = self.attempt(self._checked_scan, mask)
        if self.faults or scan is None:
            raise ScanDataError(self.faults, self.source)
        return scan

    def _checked_scan(self, mask: BoolArray) -> ScanData:
        assert self.counts is not None
        frames, *shape = self.counts.shape
        # Valid placeholders for what could not be read, so that the other arrays are checked.
        positions = np.repeat(np.arange(frames, dtype=np.float64)[:, np.newaxis], 2, axis=1)
        return ScanData(
            counts=self.counts,
            positions_px=positions if self.positions_px is None else self.positions_px,
            probe=np.ones((1, *shape), np.complex64) if self.probe is None else self.probe,
            mask=mask,
            object_guess=self.object_guess,
            true_patches=self.true_patches,
            metadata=self.metadata,
            source=self.source,
            decisions=tuple(self.decisions),
        )

    def _raise_without_frames(self) -> NoReturn:
        if self.positions_px is not None:
            self.faults += position_faults(self.positions_px)
        if self.probe is not None:
            self.faults += probe_value_faults(self.probe)
        raise ScanDataError(self.faults, self.source)
