"""Settings that follow from the data, read from headers without loading the arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import ScanFile
from ptychopinn_plugin.io.formats import read_frame_size
from ptychopinn_plugin.scan import ScanData

OneScan: TypeAlias = ScanData | ScanFile | str | Path
Data: TypeAlias = OneScan | Sequence[OneScan]


def list_scans(data: Data) -> list[ScanData | ScanFile]:
    """Return the scans and files one by one.

    Raises:
        ScanDataError: there is none.
    """
    if isinstance(data, ScanData | ScanFile | str | Path):
        data = [data]
    scans = [ScanFile(Path(one)) if isinstance(one, str | Path) else one for one in data]
    if not scans:
        raise ScanDataError(['at least one scan is needed, got none'])
    return scans


def scan_name(scan: ScanData | ScanFile) -> str:
    """Return how messages name a scan."""
    return (scan.source or 'the scan') if isinstance(scan, ScanData) else str(scan.path)


def scan_frame_size(scan: ScanData | ScanFile) -> int:
    """Return the side N of a scan's frames, from the header of its probe; no values are read.

    Args:
        scan: a scan, or one on disk.

    Raises:
        ScanDataError: there is no such file, or no square probe in it.
    """
    if isinstance(scan, ScanData):
        return scan.frame_size
    return read_frame_size(scan.path, scan.options)
