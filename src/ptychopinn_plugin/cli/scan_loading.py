"""Read the scans that a command names."""

from __future__ import annotations

import logging
from pathlib import Path

from ptychopinn_plugin.cli.options import ScanFlags
from ptychopinn_plugin.cli.paths import check_exists
from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.io.file_format import InstrumentOptions, ScanFile, ScanOptions
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.io.separate_frames import split_name
from ptychopinn_plugin.scan import ScanData

logger = logging.getLogger(__name__)


def load(
    path: Path,
    flags: ScanFlags,
    orientation: OrientationConfig,
    *,
    needs_probe: bool = True,
    true_patches: bool = False,
) -> ScanData:
    """Read a scan with the options of a command, and log the decisions on how it was read.

    Args:
        path: the file or folder.
        flags: the options; those of the orientation are not used.
        orientation: of the flags, or of the settings of a run, which may come from a file.
        needs_probe: False takes a file without a probe.
        true_patches: whether to read the true patches of a file that has them.

    Raises:
        UsageError: there is no such file.
        ScanDataError: the file is no scan, or a faulty one.
    """
    for file in (path, *files_beside(path, flags)):
        check_exists(file)
    scan = load_scan(
        path,
        product=flags.product,
        domain=flags.domain,
        axis_order=flags.axis_order,
        dc=flags.dc,
        photons=flags.photons,
        probe=flags.probe,
        needs_probe=needs_probe,
        background=flags.background,
        mask=flags.mask,
        true_patches=true_patches,
        frames_in_memory=flags.frames_in_memory,
        frames=flags.frames,
        external_files=flags.external_files,
        diffraction_type=flags.diffraction_type,
        positions=flags.positions_of(path),
        crop=flags.crop,
        beam_center=flags.beam_pixel(),
        detector_distance_m=flags.detector_distance_m,
        photon_energy_ev=flags.photon_energy_ev,
        detector_pixel_size_m=flags.detector_pixel_size_m,
        pixel_size_m=flags.pixel_size_m,
        **orientation.model_dump(),
    )
    size = scan.frame_size
    logger.info('%s: %d frames of %d x %d pixels', path, scan.frame_count, size, size)
    for decision in scan.decisions:
        logger.info('%s: %s', path.name, decision)
    return scan


def scan_file(path: Path, flags: ScanFlags) -> ScanFile:
    """Return a scan with what its headers are read by."""
    instrument = InstrumentOptions(
        diffraction_type=flags.diffraction_type, crop=flags.crop, beam_center=flags.beam_pixel()
    )
    return ScanFile(path, ScanOptions(instrument=instrument, external_files=flags.external_files))


def files_beside(path: Path, flags: ScanFlags) -> list[Path]:
    """Return the files that are read beside those of a scan itself."""
    named = [flags.probe, flags.product, flags.background, flags.mask]
    parts = (flags.frames, flags.positions_of(path))
    named += [split_name(one)[0] for one in parts if one is not None]
    return [file for file in named if file is not None]
