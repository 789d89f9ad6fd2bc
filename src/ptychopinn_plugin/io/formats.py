"""The table of file formats, and which row a path belongs to."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io import instrument_format, npz_format, ptychodus_format
from ptychopinn_plugin.io.file_format import FileFormat, ScanOptions
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.io.written_part import ReadableFiles

NPZ = FileFormat(
    endings=('.npz',),
    signature=b'PK\x03\x04',
    read_scan=npz_format.read_scan,
    frame_shape=npz_format.frame_shape,
    read_reconstruction=npz_format.read_reconstruction,
    write_reconstruction=npz_format.write_reconstruction,
    holds_scan=npz_format.holds_scan,
)
PTYCHODUS = FileFormat(
    endings=('.h5', '.hdf5'),
    signature=b'\x89HDF\r\n\x1a\n',
    read_scan=ptychodus_format.read_scan,
    frame_shape=ptychodus_format.frame_shape,
    read_reconstruction=ptychodus_format.read_reconstruction,
    write_reconstruction=ptychodus_format.write_reconstruction,
    read_comments=ptychodus_format.read_comments,
    read_probe=ptychodus_format.read_probe,
    scan_files=ptychodus_format.find_pair,
    holds_scan=ptychodus_format.holds_scan,
    is_folder=True,
)
INSTRUMENT = FileFormat(
    endings=('.cxi', '.hdf', '.mat', '.npy', '.tif', '.tiff', '.csv'),
    signature=b'\x93NUMPY',
    read_scan=instrument_format.read_scan,
    frame_shape=instrument_format.frame_shape,
    read_probe=instrument_format.read_probe,
    scan_files=instrument_format.scan_files,
    holds_scan=lambda _: False,
)
# A new format is one row here and one module with the functions of its row.
FORMATS = (PTYCHODUS, NPZ, INSTRUMENT)


def result_endings() -> tuple[str, ...]:
    """Return the endings of the files that reconstructions are written to."""
    return tuple(row.endings[0] for row in FORMATS if row.write_reconstruction is not None)


def find_format(path: Path) -> FileFormat | None:
    """Return the format of a file or folder: by its ending, else by its first bytes.

    Args:
        path: it need not be there, if it has a known ending.
    """
    if path.is_dir():
        return next((row for row in FORMATS if row.is_folder), None)
    by_ending = [row for row in FORMATS if path.suffix.lower() in row.endings]
    by_signature = [row for row in FORMATS if _first_bytes(path).startswith(row.signature)]
    return next(iter(by_ending + by_signature), None)


def find_scan_format(path: Path, diffraction_type: str | None = None) -> FileFormat:
    """Return the format of a scan.

    HDF5 files that are not laid out as Ptychodus keeps a scan are those of instruments. A path of
    no known format is taken for an .npz, whose reader says what is wrong with it.

    Args:
        path: a scan file or folder.
        diffraction_type: the type of an instrument's file, where it is named.
    """
    row = find_format(path)
    is_hdf5 = row is PTYCHODUS and path.is_file() and not why_not_a_file(path)
    if diffraction_type is not None or (is_hdf5 and not ptychodus_format.is_own_layout(path)):
        return INSTRUMENT
    return row or NPZ


def scan_files(path: Path, product: Path | None = None) -> tuple[Path, ...]:
    """Return the files that reading a scan opens.

    Args:
        path: a scan file or folder.
        product: Ptychodus' product, where it lies elsewhere.
    """
    list_files = find_scan_format(path).scan_files
    return (path,) if list_files is None else list_files(path, product)


def scans_in_folder(folder: Path) -> tuple[Path, ...]:
    """Return the scans of a folder, in the order of their names.

    Args:
        folder: one that is itself a scan, or has scans in it, as files or as folders; folders below
            these are not looked into.

    Raises:
        ScanDataError: the folder cannot be read.
    """
    if _holds_scan(folder):
        return (folder,)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ScanDataError([f'the folder {folder} cannot be read: {error.strerror}']) from error
    return tuple(
        entry for entry in entries if not entry.name.startswith('.') and _holds_scan(entry)
    )


def _holds_scan(path: Path) -> bool:
    row = None if why_not_a_file(path) else find_format(path)
    return row is not None and (row.holds_scan is None or row.holds_scan(path))


def read_frame_size(path: Path, options: ScanOptions | None = None) -> int:
    """Return the side N of a scan's frames from headers.

    Args:
        path: a scan file or folder.
        options: how it is to be read, where that matters.

    Raises:
        ScanDataError: there is no such file, or neither a square probe nor square frames in it.
    """
    check_scan_files(path)
    options = options or ScanOptions()
    with (
        ReadableFiles(with_frames=False) as files,
        reading(lambda text: ScanDataError([text]), f'{path} cannot be read as a scan'),
    ):
        file = files.readable(path)
        row = find_scan_format(file, options.instrument.diffraction_type)
        shape = row.frame_shape(file, options)
    if len(shape) >= 2 and shape[-1] == shape[-2]:
        return shape[-1]
    # Frames or modes on the last axis.
    if len(shape) == 3 and shape[0] == shape[1]:
        return shape[0]
    raise ScanDataError(
        [f'probe or frames have shape {shape}; they must be square: (N, N), (modes, N, N)'],
        str(path),
    )


def check_scan_files(path: Path, *others: Path) -> None:
    """Refuse paths that a reader would wait for; see `why_not_a_file`.

    Args:
        path: a scan file or folder.
        *others: further files that are read.

    Raises:
        ScanDataError: one of them is a named pipe, a socket or a device.
    """
    # The path itself first, for its format may depend on what it holds.
    for files in ((path, *others), scan_files(path)):
        faults = [fault for fault in map(why_not_a_file, files) if fault]
        if faults:
            raise ScanDataError(faults)


def _first_bytes(path: Path) -> bytes:
    longest = max(len(row.signature) for row in FORMATS)
    if why_not_a_file(path):
        return b''
    try:
        with path.open('rb') as file:
            return file.read(longest)
    except OSError:
        return b''
