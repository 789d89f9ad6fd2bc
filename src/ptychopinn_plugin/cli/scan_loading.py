"""Read the scans that a command names."""

from __future__ import annotations

import logging
from pathlib import Path

from ptychopinn_plugin.cli.options import ScanFlags
from ptychopinn_plugin.cli.paths import readable
from ptychopinn_plugin.io.scan_files import load_scan
from ptychopinn_plugin.scan import ScanData, orient

logger = logging.getLogger(__name__)


def load(
    path: Path, flags: ScanFlags, *, turn: bool = True, true_patches: bool = False
) -> ScanData:
    """Read a scan as the flags say, and tell what was decided on the way.

    Args:
        path: the file or folder.
        flags: how to read it.
        turn: False leaves the positions as the file has them.
        true_patches: whether to read the true patches of a file that has them.

    Raises:
        UsageError: there is no such file.
        ScanDataError: the file is no scan, or a faulty one.
    """
    for file in (path, flags.probe, flags.product):
        if file is not None:
            readable(file)
    scan = load_scan(
        path,
        product=flags.product,
        domain=flags.domain,
        axis_order=flags.axis_order,
        dc=flags.dc,
        photons=flags.photons,
        probe=flags.probe,
        true_patches=true_patches,
    )
    scan = turned(scan, flags) if turn else scan
    size = scan.frame_size
    logger.info('%s: %d frames of %d x %d pixels', path, scan.frame_count, size, size)
    for decision in scan.decisions:
        logger.info('%s: %s', path.name, decision)
    return scan


def turned(scan: ScanData, flags: ScanFlags) -> ScanData:
    """Return a scan with its positions turned as the flags say."""
    return orient(scan, flip_x=flags.flip_x, flip_y=flags.flip_y, transpose=flags.transpose)
