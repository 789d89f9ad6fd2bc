"""The row of instruments' files in the table of formats; it needs `ptychodus` only when called."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import ScanOptions
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.data import ComplexArray


def read_scan(path: Path, options: ScanOptions) -> ScanData:
    """Read a scan with the readers that Ptychodus has for files of instruments.

    Raises:
        ScanDataError: with every fault found, options that are for .npz files among them.
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.io.ptychodus.instrument_scan import load_instrument_scan

    _check_options(path, options)
    return load_instrument_scan(path, options)


def frame_shape(path: Path, options: ScanOptions) -> tuple[int, ...]:
    """Return the shape of the frames that are read.

    Raises:
        ScanDataError: no reader takes the file.
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.io.ptychodus.instrument_scan import instrument_frame_shape

    return instrument_frame_shape(path, options)


def read_probe(path: Path, options: ScanOptions) -> ComplexArray:
    """Read a probe; of the options only `external_files` is used.

    Raises:
        ScanDataError: no reader takes the file.
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.io.ptychodus.instrument_files import load_instrument_probe

    return load_instrument_probe(path, options)


def scan_files(path: Path, product: Path | None) -> tuple[Path, ...]:
    """Return the files of a scan that are known before it is read."""
    return (path,) if product is None else (path, product)


def _check_options(path: Path, options: ScanOptions) -> None:
    """Refuse options that mean nothing for files whose reader settles them."""
    given = {
        'axis_order': options.axis_order is not None,
        'dc': options.dc != 'center',
        'frames': options.frames is not None,
    }
    faults = [
        f'load_scan({name}=...) is for .npz files; {path} is read by Ptychodus: leave it out'
        for name, is_given in given.items()
        if is_given
    ]
    if faults:
        raise ScanDataError(faults)
