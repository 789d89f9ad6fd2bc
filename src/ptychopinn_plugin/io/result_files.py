"""Saving and loading reconstructions, by the ending of the file's name."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.atomic import check_output
from ptychopinn_plugin.errors import ResultFileError
from ptychopinn_plugin.io.npz_reconstruction import (
    load_npz_reconstruction,
    save_npz_reconstruction,
)
from ptychopinn_plugin.scan import Reconstruction, ScanData

SUFFIXES = ('.h5', '.npz')


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
    """
    path = Path(path)
    check_output(path, SUFFIXES)
    if path.suffix.lower() == '.npz':
        save_npz_reconstruction(path, reconstruction)
        return
    from ptychopinn_plugin.io.ptychodus.write import save_product

    save_product(path, reconstruction, scan, name=path.stem, comments=comments)


def load_result(path: str | Path) -> Reconstruction:
    """Read a reconstruction back, from a Ptychodus product (`.h5`) or an `.npz` file.

    Raises:
        ResultFileError: no such file, another kind of file, or one that is not complete.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ResultFileError(f'{path} ends in {path.suffix!r}, a result ends in .h5 or .npz')
    if not path.exists():
        raise ResultFileError(f'there is no result file {path}')
    if path.suffix.lower() == '.npz':
        return load_npz_reconstruction(path)
    from ptychopinn_plugin.io.ptychodus.read_product import load_product_reconstruction

    return load_product_reconstruction(path)
