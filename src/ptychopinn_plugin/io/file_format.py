"""A row of the table of file formats: readers, writers and frame size of one kind of file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, TypeAlias

from ptychopinn_plugin.io.axis_order import AxisOrder
from ptychopinn_plugin.io.frame_files import FramesInMemory
from ptychopinn_plugin.io.measurement_domain import Domain
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.data import BoolArray, ComplexArray

ZeroFrequency: TypeAlias = Literal['center', 'corner']


@dataclass(frozen=True)
class InstrumentOptions:
    """What the files of an instrument do not say of themselves; see `load_scan`.

    Attributes:
        diffraction_type: Ptychodus' name for the type of the file with the frames; None to find it.
        positions: file of the positions, a colon and its type behind it where it is not found.
        crop: side N of the square that is read of each frame.
        beam_center: (row, column) of the zero frequency on the detector.
        detector_distance_m: sample to detector, metres.
        photon_energy_ev: photon energy, electronvolts.
        detector_pixel_size_m: of the detector, metres.
        pixel_size_m: of the object, metres, in place of the one that follows from the others.
    """

    diffraction_type: str | None = None
    positions: str | None = None
    crop: int | None = None
    beam_center: tuple[int, int] | None = None
    detector_distance_m: float | None = None
    photon_energy_ev: float | None = None
    detector_pixel_size_m: float | None = None
    pixel_size_m: float | None = None

    def given(self) -> list[str]:
        """Return the names of what is given."""
        return [one.name for one in fields(self) if getattr(self, one.name) is not None]


@dataclass(frozen=True)
class ScanOptions:
    """How a scan is to be read; see `load_scan`.

    Attributes:
        product: file with positions, probe and object, where it lies elsewhere.
        domain: what the frames hold; None to find out.
        axis_order: 'nhw' or 'hwn'; None to find out.
        dc: where the zero frequency lies.
        photons: mean photons a frame that the frames are scaled to; None leaves it to the file.
        probe: in place of the scan's own: a file, or an array complex (modes, N, N).
        needs_probe: False takes a scan without a probe, see `ScanMetadata.probe_is_unknown`.
        true_patches: whether the true patches are read.
        mask: bool (N, N), True for pixels that are bad beside the scan's own, zero frequency at
            N//2.
        frames_in_memory: whether the frames are read into memory, see `load_scan`.
        frames: file of the frames, where they lie in one of their own, see `load_scan`.
        external_files: whether links of HDF5 files may lead to any file, see `load_scan`.
        instrument: of files of an instrument, and the geometry of any scan.
    """

    product: Path | None = None
    domain: Domain | None = None
    axis_order: AxisOrder | None = None
    dc: ZeroFrequency = 'center'
    photons: float | None = None
    probe: Path | ComplexArray | None = None
    needs_probe: bool = True
    true_patches: bool = True
    mask: BoolArray | None = None
    frames_in_memory: FramesInMemory = 'auto'
    frames: str | None = None
    external_files: bool = False
    instrument: InstrumentOptions = field(default_factory=InstrumentOptions)


@dataclass(frozen=True)
class ScanFile:
    """A scan on disk and how it is to be read.

    Attributes:
        path: file or folder.
        options: for its reader.
    """

    path: Path
    options: ScanOptions = field(default_factory=ScanOptions)


@dataclass(frozen=True)
class FileFormat:
    """One kind of file, with its readers and writers.

    Attributes:
        endings: of the file's name, lower case; the first is that of files that are written.
        signature: first bytes of such a file, for names with another ending.
        read_scan: reads a scan; raises ScanDataError.
        frame_shape: returns the shape of a scan's probe, or of its frames where it has none, from
            headers only, for a path and how it is to be read; raises ScanDataError.
        read_reconstruction: reads a reconstruction; raises ResultFileError. None where files of
            the format are no results.
        write_reconstruction: writes a reconstruction of a scan with comments; raises OutputError.
            None where files of the format are no results.
        read_comments: reads how a reconstruction was made, a text; None where such files do not
            say; raises ResultFileError.
        read_probe: reads the probe of such a file, complex64 (modes, N, N), for a path and how it
            is to be read; None where the reader of scans takes the path itself.
        scan_files: returns the files that reading a scan opens, from its path and the product that
            is named beside it; None where it is the path alone.
        holds_scan: returns whether a file or folder is a scan, from names and headers only; True
            for one that is damaged, so that reading it says what is wrong. None
            where every file of the format is one.
        is_folder: whether a folder is a scan of this format, so that no single file holds a scan.
    """

    endings: tuple[str, ...]
    signature: bytes
    read_scan: Callable[[Path, ScanOptions], ScanData]
    frame_shape: Callable[[Path, ScanOptions], tuple[int, ...]]
    read_reconstruction: Callable[[Path], Reconstruction] | None = None
    write_reconstruction: Callable[[Path, Reconstruction, ScanData, str], None] | None = None
    read_comments: Callable[[Path], str] | None = None
    read_probe: Callable[[Path, ScanOptions], ComplexArray] | None = None
    scan_files: Callable[[Path, Path | None], tuple[Path, ...]] | None = None
    holds_scan: Callable[[Path], bool] | None = None
    is_folder: bool = False
