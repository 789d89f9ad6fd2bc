"""The .npz row of the table of formats."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import ScanOptions
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.npz_frames import FRAME_KEYS
from ptychopinn_plugin.io.npz_reconstruction import (
    load_npz_reconstruction,
    save_npz_reconstruction,
)
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.scan import Reconstruction, ScanData

# The frames have the size as well, where the probe lies in a file of its own.
SIZED_ARRAYS = ('probeGuess', 'diffraction', 'diff3d')


def read_scan(path: Path, options: ScanOptions) -> ScanData:
    """Read a scan; the product of the options is not used.

    Raises:
        ScanDataError: with every fault found.
    """
    return load_npz(
        path,
        domain=options.domain,
        axis_order=options.axis_order,
        dc=options.dc,
        photons=options.photons,
        probe=options.probe,
        needs_probe=options.needs_probe,
        true_patches=options.true_patches,
        mask=options.mask,
        frames_in_memory=options.frames_in_memory,
        frames=options.frames,
        external_files=options.external_files,
        instrument=options.instrument,
    )


def frame_shape(path: Path, options: ScanOptions) -> tuple[int, ...]:
    """Return the shape of the probe, or of the frames, from the archive's headers.

    The options are not used.

    Raises:
        ScanDataError: no such file, another kind of file, or neither probe nor frames in it.
    """
    with NpzArchive(path) as archive:
        for name in SIZED_ARRAYS:
            if name in archive:
                return archive.header(name).shape
    raise ScanDataError(["'probeGuess' is missing; a starting probe is needed"], str(path))


def holds_scan(path: Path) -> bool:
    """Return whether a file has an array of frames; True for a file that cannot be opened."""
    try:
        with NpzArchive(path) as archive:
            return any(key in archive for key in FRAME_KEYS)
    except ScanDataError:
        return True


def read_reconstruction(path: Path) -> Reconstruction:
    """Read a reconstruction.

    Raises:
        ResultFileError: no such file, another kind of file, or one that is not complete.
    """
    return load_npz_reconstruction(path)


def write_reconstruction(
    path: Path,
    reconstruction: Reconstruction,
    scan: ScanData,
    comments: str,
) -> None:
    """Write a reconstruction; the file has no place for metadata of the scan and for comments.

    Raises:
        OutputError: the file cannot be written there.
    """
    save_npz_reconstruction(path, reconstruction)
