"""Reading a scan, whatever the format of its file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import InstrumentOptions, ScanOptions
from ptychopinn_plugin.io.formats import check_scan_files, find_format, find_scan_format
from ptychopinn_plugin.io.frame_files import FramesInMemory
from ptychopinn_plugin.io.mask_file import read_mask_file
from ptychopinn_plugin.io.npz_estimates import read_background_file
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.separate_frames import split_name
from ptychopinn_plugin.io.written_part import ReadableFiles
from ptychopinn_plugin.scan import ScanData, orient
from ptychopinn_plugin.scan.data import ComplexArray


def load_scan(
    path: Path | str,
    *,
    product: Path | None = None,
    domain: Literal['counts', 'amplitude'] | None = None,
    axis_order: Literal['nhw', 'hwn'] | None = None,
    dc: Literal['center', 'corner'] = 'center',
    photons: float | None = None,
    probe: Path | ComplexArray | None = None,
    needs_probe: bool = True,
    background: Path | None = None,
    mask: Path | None = None,
    true_patches: bool = True,
    frames_in_memory: FramesInMemory = 'auto',
    frames: str | None = None,
    external_files: bool = False,
    diffraction_type: str | None = None,
    positions: str | None = None,
    crop: int | None = None,
    beam_center: tuple[int, int] | None = None,
    detector_distance_m: float | None = None,
    photon_energy_ev: float | None = None,
    detector_pixel_size_m: float | None = None,
    pixel_size_m: float | None = None,
    **orientation: bool,
) -> ScanData:
    """Read a scan from an .npz, a Ptychodus folder, one of its two files, or an instrument's files.

    Args:
        path: an .npz; a folder with `diffraction.h5` and `product.h5`; one of these, the other
            lying beside it; or a file with frames that Ptychodus has a reader for, such as CXI.
        product: the product, where it lies elsewhere than beside the diffraction file; for files
            of instruments, of any type that Ptychodus reads.
        domain: .npz only: what the frames hold; None to find out.
        axis_order: .npz only: 'nhw' or 'hwn'; None to find out.
        dc: .npz only: where the zero frequency lies, 'center' or 'corner'.
        photons: .npz only: mean photons a frame that the frames are scaled to.
        probe: in place of the scan's own: an .npz with `probeGuess` or `probe`, an .npy, a
            Ptychodus product, or an array complex (modes, N, N).
        mask: pixels that are bad beside the scan's own: an .npy, or an .npz with `bad_pixels`.
        needs_probe: .npz only: False takes a file without a probe, which a reconstruction without
            a model then estimates from the frames.
        background: in place of the scan's own: an .npy image or an .npz with `background`, counts
            a pixel (N, N).
        true_patches: .npz only: False leaves `Y`, the true patches, unread.
        frames_in_memory: 'yes' reads the frames into memory; 'no' leaves them in their file, from
            which a reconstruction reads them in batches; 'auto' does so where twice their size as
            float32 does not fit into free memory.
        frames: .npz only: the frames where they lie in a file of their own, an .npy or an HDF5
            file, with the name of the dataset behind a colon where it is not that of CXI, NeXus or
            Ptychodus: 'frames.h5:/entry/data/data'.
        external_files: whether external links, virtual datasets and external storage of HDF5 files
            may lead to any file. False reads those of the same folder only, so that a file from
            elsewhere cannot show what else lies on this computer.
        diffraction_type: Ptychodus' name for the type of an instrument's file, such as 'CXI' or
            'APS_Velociprobe'; None to find it from the file.
        positions: of an instrument: the positions, where they lie in a file of their own, with a
            colon and their type behind it where that is not found from the file: 'p.txt:TXT'.
        crop: of an instrument: side N of the square around the beam that is read of each frame.
        beam_center: of an instrument: (row, column) of the zero frequency on the detector.
        detector_distance_m: sample to detector, in place of what the files say.
        photon_energy_ev: photon energy, in place of what the files say.
        detector_pixel_size_m: of the detector, in place of what the files say.
        pixel_size_m: of the object, in place of the one that follows from the other three.
        **orientation: fields of `OrientationConfig`: `transpose`, `flip_x`, `flip_y`.

    Returns:
        The checked scan; its `decisions` say what was decided on the way and why.

    Raises:
        ScanDataError: with every fault found, or for a path that is no scan.
        UnavailableError: a file of Ptychodus, and Ptychodus is not installed.
    """
    path = Path(path)
    named = (product, probe, background, mask, positions and split_name(positions)[0])
    check_scan_files(path, *(Path(one) for one in named if isinstance(one, str | Path) and one))
    axes = OrientationConfig(**orientation)
    with ReadableFiles() as files:
        options = ScanOptions(
            product=None if product is None else files.readable(product),
            domain=domain,
            axis_order=axis_order,
            dc=dc,
            photons=photons,
            probe=None if probe is None else load_probe(probe, external_files=external_files),
            needs_probe=needs_probe,
            true_patches=true_patches,
            mask=None if mask is None else read_mask_file(Path(mask)),
            frames_in_memory=frames_in_memory,
            frames=_readable_part(files, frames),
            external_files=external_files,
            instrument=InstrumentOptions(
                diffraction_type=diffraction_type,
                positions=_readable_part(files, positions),
                crop=crop,
                beam_center=beam_center,
                detector_distance_m=detector_distance_m,
                photon_energy_ev=photon_energy_ev,
                detector_pixel_size_m=detector_pixel_size_m,
                pixel_size_m=pixel_size_m,
            ),
        )
        with reading(lambda text: ScanDataError([text]), f'{path} cannot be read as a scan'):
            file = files.readable(path)
            scan = find_scan_format(file, diffraction_type).read_scan(file, options)
            if files.decisions:
                scan = _of_copies(scan, files)
            if background is not None:
                scan = with_background(scan, Path(background))
            return orient(scan, axes)


def _readable_part(files: ReadableFiles, given: str | None) -> str | None:
    """Return a file with what is named behind its colon, in a file that can be read."""
    if given is None:
        return None
    path, name = split_name(given)
    file = files.readable(path)
    return given if file == path else ':'.join(filter(None, (str(file), name)))


def _of_copies(scan: ScanData, files: ReadableFiles) -> ScanData:
    """Return a scan that was read from copies, with the names of the files themselves."""
    decisions = (*files.decisions, *map(files.with_given_names, scan.decisions))
    return dataclasses.replace(
        scan, source=files.with_given_names(scan.source), decisions=decisions
    )


def with_background(scan: ScanData, path: Path) -> ScanData:
    """Return a scan with the background of a file.

    Args:
        scan: its own background is replaced.
        path: an .npy image or an .npz with `background`, counts a pixel, (N, N).

    Raises:
        ScanDataError: the file cannot be read, or its image does not fit the frames.
    """
    estimates = dataclasses.replace(scan.estimates, background=read_background_file(path))
    decision = f'the background was taken from {path}'
    return dataclasses.replace(scan, estimates=estimates, decisions=(*scan.decisions, decision))


def load_probe(probe: Path | ComplexArray, *, external_files: bool = False) -> Path | ComplexArray:
    """Return the probe of a file whose format reads it, any other as it was given.

    Args:
        probe: a file, or complex (modes, N, N).
        external_files: see `load_scan`.

    Raises:
        ScanDataError: the file holds no probe.
        UnavailableError: a file of Ptychodus, and Ptychodus is not installed.
    """
    if isinstance(probe, str | Path):
        row = find_format(Path(probe))
        # An .npy is read without Ptychodus.
        is_array = Path(probe).suffix.lower() == '.npy'
        if row is not None and row.read_probe is not None and not is_array:
            with reading(lambda text: ScanDataError([text]), f'{probe} cannot be read as a probe'):
                return row.read_probe(Path(probe), ScanOptions(external_files=external_files))
    return probe
