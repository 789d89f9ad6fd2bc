"""Builder of scans: readers fill in the arrays, all faults are collected and reported at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan.data import (
    BoolArray,
    ComplexArray,
    FloatArray,
    PositionArray,
    ScanData,
    ScanMetadata,
)
from ptychopinn_plugin.scan.estimates import Estimates
from ptychopinn_plugin.scan.foreign_frames import foreign_frames
from ptychopinn_plugin.scan.frame_chunks import frame_chunks
from ptychopinn_plugin.scan.frame_outliers import (
    LEFT_OUT,
    frames_without_light,
    list_numbers,
    missing_frames,
)
from ptychopinn_plugin.scan.frame_source import frames_in_file, select_frames, zero_pixels
from ptychopinn_plugin.scan.largest_values import mask_largest_values
from ptychopinn_plugin.scan.negative_values import settle_negative_values
from ptychopinn_plugin.scan.photon_scale import match_probe
from ptychopinn_plugin.scan.photons import frame_photons
from ptychopinn_plugin.scan.plausibility import implausible
from ptychopinn_plugin.scan.value_checks import position_faults, probe_value_faults

Args = ParamSpec('Args')
Value = TypeVar('Value')
Scalar = TypeVar('Scalar', bound=np.generic)


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
        estimates: as in `ScanData`; modes of the probe's variation in the scale of `probe`.
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
    estimates: Estimates = field(default_factory=Estimates)

    def attempt(
        self, read: Callable[Args, Value], *args: Args.args, **options: Args.kwargs
    ) -> Value | None:
        """Return the result of `read`, or keep its faults and return None."""
        try:
            return read(*args, **options)
        except ScanDataError as error:
            self.faults += error.faults
            return None

    def add_mask(self, mask: BoolArray | None) -> None:
        """Mask more pixels, True where bad, beside those of the source."""
        if mask is None or self.counts is None:
            return
        shape = self.counts.shape[1:]
        if mask.shape != shape:
            self.faults.append(
                f'the given mask must have the shape of a frame, {shape}, got {mask.shape}'
            )
            return
        self.mask = mask if self.mask is None else self.mask | mask
        self.decisions.append(f'{int(mask.sum())} pixels are masked by the given mask')

    def mask_largest_values(self, dtype: np.dtype[Any]) -> None:
        """Mask pixels that hold the largest value of an integer; call it before scaling."""
        if self.counts is None or self.counts.ndim != 3:
            return
        shape = self.counts.shape[1:]
        mask = np.zeros(shape, dtype=np.bool_) if self.mask is None else self.mask
        if mask.shape == shape:
            found = self.attempt(mask_largest_values, self.counts, mask, dtype, self.decisions)
            self.mask = mask if found is None else found
            self.counts = zero_pixels(self.counts, self.mask)

    def leave_out_missing(self, dtype: np.dtype[Any]) -> None:
        """Leave out frames of which every pixel is NaN; call before values are looked at.

        Args:
            dtype: that the frames were stored with.
        """
        if dtype.kind != 'f' or self.counts is None or self.counts.ndim != 3:
            return
        missing = missing_frames(self.counts, self.mask)
        # Where all are, the check of the scan says more.
        if not missing.all():
            self.leave_out(missing, 'with nothing but NaN')

    def settle_negative_values(self, dtype: np.dtype[Any]) -> bool:
        """Mask pixels marked by a negative value, set negative noise to 0; call before scaling.

        Args:
            dtype: that the frames were stored with.

        Returns:
            Whether there was noise below zero, which counts have and amplitudes do not.
        """
        if dtype.kind == 'u' or self.counts is None or self.counts.ndim != 3:
            return False
        shape = self.counts.shape[1:]
        given = np.zeros(shape, dtype=np.bool_) if self.mask is None else self.mask
        if given.shape != shape:
            return False
        self.counts, self.mask, has_noise = settle_negative_values(
            self.counts, given, self.decisions
        )
        return has_noise

    def build(self, frame_factor: float = 1.0) -> ScanData:
        """Return the checked scan: masked pixels zero, the probe in photons.

        Frames without light, or unlike all others, are left out; `scan_index` then gives the
        numbers of those that are left.

        Args:
            frame_factor: that the frames' intensities were multiplied by to become photons.

        Raises:
            ScanDataError: with every fault of every array, and what no measurement can be.
        """
        if self.counts is None:
            self._raise_without_frames()
        shape = self.counts.shape[1:]
        mask = np.zeros(shape, dtype=np.bool_) if self.mask is None else self.mask
        # A mask of another shape is reported by the check of the scan.
        if mask.any() and mask.shape == shape:
            self.counts = zero_pixels(self.counts, mask)
        totals = self._leave_out_frames(frame_photons(self.counts))
        if self.probe is None and self.metadata.probe_is_unknown:
            self.probe = focused_probe(self.counts)
        if self.probe is not None and self.probe.size and not probe_value_faults(self.probe):
            given = self.probe
            self.probe = match_probe(given, totals, mask, frame_factor, self.decisions)
            ratio = float(np.linalg.norm(self.probe) / np.linalg.norm(given))
            self.estimates = self.estimates.scaled(ratio)
        scan = self.attempt(self._checked_scan, mask)
        if self.faults or scan is None:
            raise ScanDataError(self.faults, self.source)
        faults = implausible(scan)
        if faults:
            raise ScanDataError(faults, self.source)
        return scan

    def _leave_out_frames(self, totals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Leave out frames that do not belong; return the photons of those that are left."""
        dark = frames_without_light(totals)
        if self.leave_out(dark, 'without light'):
            totals = totals[~dark]
        foreign = self._foreign_frames(totals)
        if self.leave_out(foreign, 'unlike all others (noise, or the beam at another place)'):
            totals = totals[~foreign]
        return totals

    def _foreign_frames(self, totals: npt.NDArray[np.float64]) -> BoolArray:
        """Return which frames do not belong to the scan; none where the arrays have faults."""
        counts, positions = self.counts, self.positions_px
        none = np.zeros(len(totals), np.bool_)
        if counts is None or positions is None or positions.shape != (len(totals), 2):
            return none
        shape = counts.shape[1:]
        mask = np.zeros(shape, np.bool_) if self.mask is None else self.mask
        is_sound = mask.shape == shape and shape[0] == shape[1] and np.isfinite(totals).all()
        if not is_sound:
            return none
        return foreign_frames(counts, mask, totals, positions)

    def leave_out(self, chosen: BoolArray, which: str) -> bool:
        """Leave out frames and what belongs to them; return whether any were.

        Arrays that do not belong together are left as they are, and reported as such.

        Args:
            chosen: bool (n,), True for frames that are left out.
            which: of the frames, for the decision: 'without light'.
        """
        number = len(chosen)
        positions, patches = self.positions_px, self.true_patches
        estimates = self.estimates
        of_frames = (positions, patches, estimates.flux, estimates.opr_weights)
        lengths = {len(array) for array in of_frames if array is not None}
        if not chosen.any() or lengths - {number}:
            return False
        kept = np.flatnonzero(~chosen)
        known = self.metadata.scan_index
        index = np.arange(number, dtype=np.int64) if known is None else known
        if len(index) != number:
            return False
        assert self.counts is not None
        self.counts = (
            _first_frames(self.counts, kept)
            if frames_in_file(self.counts) is None
            else select_frames(self.counts, kept)
        )
        self.positions_px = None if positions is None else positions[kept]
        self.true_patches = None if patches is None else _first_frames(patches, kept)
        self.metadata = dataclasses.replace(self.metadata, scan_index=index[kept])
        self.estimates = estimates.subset(kept)
        self.decisions.append(
            f'{number - len(kept)} of {number} frames {which} {LEFT_OUT} '
            f'{list_numbers(index[chosen])}'
        )
        return True

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
            estimates=self.estimates,
        )

    def _raise_without_frames(self) -> NoReturn:
        if self.positions_px is not None:
            self.faults += position_faults(self.positions_px)
        if self.probe is not None:
            self.faults += probe_value_faults(self.probe)
        raise ScanDataError(self.faults, self.source)


def focused_probe(counts: FloatArray) -> ComplexArray:
    """Return the probe that gives the mean frame with a flat phase, complex64 (1, N, N).

    Args:
        counts: float32 (n, N, N), 0 at bad pixels.
    """
    # What is not finite is reported as a fault of the counts.
    mean = np.zeros(counts.shape[1:])
    for _, some in frame_chunks(counts):
        # One after the other, so that rounding does not depend on how many are read together.
        for frame in some:
            mean += frame
    mean = np.nan_to_num(mean / len(counts), posinf=0.0)
    amplitudes = np.sqrt(np.maximum(mean, 0))
    focus = np.fft.ifft2(np.fft.ifftshift(amplitudes), norm='ortho')
    return np.asarray(np.fft.fftshift(focus)[None], np.complex64)


def _first_frames(stack: npt.NDArray[Scalar], kept: npt.NDArray[np.int64]) -> npt.NDArray[Scalar]:
    """Move the kept frames of a stack to its front, in place, and return that part of it."""
    # Without a second copy of the stack.
    for new, old in enumerate(kept):
        if new != old:
            stack[new] = stack[old]
    return stack[: len(kept)]
