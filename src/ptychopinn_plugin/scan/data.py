"""The data contract: one scan, checked once, NumPy only."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.scan.checks import scan_faults
from ptychopinn_plugin.scan.estimates import Estimates
from ptychopinn_plugin.scan.frame_source import select_frames
from ptychopinn_plugin.scan.pass_history import PassHistory

FloatArray: TypeAlias = npt.NDArray[np.float32]
PositionArray: TypeAlias = npt.NDArray[np.float64]
ComplexArray: TypeAlias = npt.NDArray[np.complex64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScanMetadata:
    """Geometry of the instrument, None where the source does not have it, and the probe's origin.

    Attributes:
        pixel_size_m: (height, width) of one object pixel, metres.
        photon_energy_ev: photon energy, electronvolts.
        detector_distance_m: sample to detector, metres.
        object_center_m: (y, x) world coordinates of the centre of `object_guess`, metres.
        scan_index: int64 (n,), the number of each frame in its source.
        probe_is_refined: whether the probe comes from an earlier reconstruction of the frames.
        probe_is_unknown: whether the source has no probe; that of the scan then is the focus of
            the mean frame, which a reconstruction replaces.
        history: of the reconstruction that object guess and probe come from.
    """

    pixel_size_m: tuple[float, float] | None = None
    photon_energy_ev: float | None = None
    detector_distance_m: float | None = None
    object_center_m: tuple[float, float] | None = None
    scan_index: npt.NDArray[np.int64] | None = None
    probe_is_refined: bool = False
    probe_is_unknown: bool = False
    history: PassHistory = field(default_factory=PassHistory)


@dataclass(frozen=True, eq=False)
class ScanData:
    """One ptychographic scan.

    Attributes:
        counts: float32 (n, N, N), photons a pixel, axes (frame, row, column), zero frequency at
            index N//2 of both detector axes; a `FramesInFile` where the frames stay in their file,
            which is indexed and iterated like the array, and read into memory by other use.
        positions_px: float64 (n, 2), (row, column) in object pixels. Pixel N//2 of a frame's patch
            lies on its position; pixel (row, column) of `object_guess` has that coordinate.
        probe: complex64 (modes, N, N), real space, centred on N//2; sum |probe|^2 over modes and
            pixels is the expected number of photons a frame through empty space.
        mask: bool (N, N), True where the detector pixel is bad and must be left out.
        object_guess: complex64 (H, W) or None; where given, its shape is the canvas.
        true_patches: complex64 (n, N, N) or None; the true object under each frame, the object
            pixel round(position) at N//2, rows and columns those of the detector.
        metadata: what is known of the instrument.
        source: where the scan came from, for messages.
        decisions: how a reader interpreted the file and why, one sentence each.
        estimates: variation of the probe, flux and background, as far as they are known.

    Raises:
        ScanDataError: with every fault found; array arguments must already have the dtypes above.
    """

    counts: FloatArray
    positions_px: PositionArray
    probe: ComplexArray
    mask: BoolArray
    object_guess: ComplexArray | None = None
    metadata: ScanMetadata = field(default_factory=ScanMetadata)
    source: str = ''
    decisions: tuple[str, ...] = ()
    true_patches: ComplexArray | None = None
    estimates: Estimates = field(default_factory=Estimates)

    def __post_init__(self) -> None:
        """Check the contract; code that takes a scan relies on it."""
        faults = scan_faults(self)
        if not faults:
            faults = self.estimates.faults(self.frame_count, self.frame_size)
        if faults:
            raise ScanDataError(faults, self.source)

    @property
    def frame_count(self) -> int:
        """Number of frames n."""
        return int(self.counts.shape[0])

    @property
    def frame_size(self) -> int:
        """Side N of a frame in pixels."""
        return int(self.counts.shape[-1])

    @property
    def mode_count(self) -> int:
        """Number of mutually incoherent probe modes."""
        return int(self.probe.shape[0])

    def subset(self, frames: npt.NDArray[np.int64]) -> ScanData:
        """Return the scan of the given frames only, in that order."""
        index = self.metadata.scan_index
        metadata = dataclasses.replace(
            self.metadata, scan_index=None if index is None else index[frames]
        )
        return dataclasses.replace(
            self,
            counts=select_frames(self.counts, frames),
            positions_px=self.positions_px[frames],
            metadata=metadata,
            true_patches=None if self.true_patches is None else self.true_patches[frames],
            estimates=self.estimates.subset(frames),
        )
