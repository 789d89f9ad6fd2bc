"""Saving and loading reconstructions, by the ending of the file's name."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.atomic import check_output
from ptychopinn_plugin.errors import ResultFileError
from ptychopinn_plugin.io.file_format import FileFormat
from ptychopinn_plugin.io.formats import find_format, result_endings
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.scan import Reconstruction, ScanData


def save_reconstruction(
    path: str | Path, reconstruction: Reconstruction, scan: ScanData, *, comments: str = ''
) -> None:
    """Write a reconstruction: `.h5` is a Ptychodus product, `.npz` holds its fields.

    Args:
        path: the file; an old one is replaced when the new one is complete.
        reconstruction: what an engine gave.
        scan: the scan that it was made from.
        comments: a remark for the product's metadata, such as the command that made it.

    Raises:
        OutputError: another ending, or the file cannot be written there.
        UnavailableError: `.h5`, and Ptychodus is not installed.
    """
    path = Path(path)
    check_output(path, result_endings())
    row = find_format(path)
    assert row is not None  # its ending was checked
    assert row.write_reconstruction is not None
    row.write_reconstruction(path, reconstruction, scan, comments)


def load_result(path: str | Path) -> Reconstruction:
    """Read a reconstruction back, from a Ptychodus product (`.h5`) or an `.npz` file.

    Raises:
        ResultFileError: no such file, another kind of file, or one that is not complete.
        UnavailableError: `.h5`, and Ptychodus is not installed.
    """
    path, row = _result_format(path)
    assert row.read_reconstruction is not None  # its ending was checked
    with reading(ResultFileError, f'{path} cannot be read as a result'):
        return row.read_reconstruction(path)


def load_comments(path: str | Path) -> str:
    """Read how a reconstruction was made, '' where files of its kind do not say.

    Raises:
        ResultFileError: no such file, another kind of file, or one that is not complete.
        UnavailableError: `.h5`, and Ptychodus is not installed.
    """
    path, row = _result_format(path)
    if row.read_comments is None:
        return ''
    with reading(ResultFileError, f'{path} cannot be read as a result'):
        return row.read_comments(path)


def _result_format(path: str | Path) -> tuple[Path, FileFormat]:
    """Return a result's path and format, or raise ResultFileError."""
    path = Path(path)
    row = find_format(path)
    if row is None or path.suffix.lower() not in result_endings():
        endings = ' or '.join(result_endings())
        raise ResultFileError(f'{path} ends in {path.suffix!r}, a result ends in {endings}')
    if not path.exists():
        raise ResultFileError(f'there is no result file {path}')
    if fault := why_not_a_file(path):
        raise ResultFileError(fault)
    return path, row
