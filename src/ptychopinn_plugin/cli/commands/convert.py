"""`ptychopinn convert`."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Convert
from ptychopinn_plugin.cli.paths import check_distinct, check_exists, check_folder, check_writable
from ptychopinn_plugin.cli.scan_loading import files_beside, load
from ptychopinn_plugin.cli.usage_error import UsageError
from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.io.formats import find_format, scan_files
from ptychopinn_plugin.io.npz_scan_writer import save_npz_counts
from ptychopinn_plugin.io.ptychodus_format import DIFFRACTION, find_pair


def run(flags: Convert) -> None:
    """Read a scan and write it as another kind of file."""
    is_npz = flags.out.suffix.lower() == '.npz'
    _check_files(flags, is_npz=is_npz)
    scan = load(
        flags.scan, flags, flags.extract(OrientationConfig), needs_probe=False, true_patches=True
    )
    if is_npz:
        save_npz_counts(flags.out, scan)
    else:
        from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair

        save_ptychodus_pair(flags.out, scan)
    size = scan.frame_size
    echo(f'{flags.out}: {scan.frame_count} frames of {size} x {size} pixels')


def _check_files(flags: Convert, *, is_npz: bool) -> None:
    """Refuse names that will not do, before anything is read."""
    inputs = [flags.scan, *files_beside(flags.scan, flags)]
    for path in inputs:
        check_exists(path)
    if is_npz:
        outputs: list[Path | None] = [check_writable(flags.out, ('.npz',))]
    elif find_format(flags.out) is not None and not flags.out.is_dir():
        raise UsageError(
            f'{flags.out} ends in {flags.out.suffix}; a scan is converted to an .npz file, or to '
            'a folder with diffraction.h5 and product.h5'
        )
    else:
        outputs = list(find_pair(check_folder(flags.out) / DIFFRACTION))
    check_distinct(outputs, [*inputs, *scan_files(flags.scan, flags.product)])
