"""The row of Ptychodus' files in the table of formats; it needs `ptychodus` only when called."""

from __future__ import annotations

from pathlib import Path

import h5py

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import ScanOptions
from ptychopinn_plugin.io.hdf5_checks import find_dataset
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.scan import Reconstruction, ScanData
from ptychopinn_plugin.scan.data import ComplexArray

DIFFRACTION = 'diffraction.h5'
PRODUCT = 'product.h5'
# The frames have the size as well, where there is no product yet.
SIZED_DATASETS = ('probe', 'patterns')
_SETTLED = 'comes from Ptychodus: leave it out'


def read_scan(path: Path, options: ScanOptions) -> ScanData:
    """Read a scan from a folder or from one of its two files, the other lying beside it.

    Raises:
        ScanDataError: with every fault found, options that are for .npz files among them.
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.io.ptychodus.read_scan import load_ptychodus

    _check_options(path, options)
    diffraction, product = find_pair(path, options.product)
    return load_ptychodus(
        diffraction,
        product,
        probe=options.probe,
        mask=options.mask,
        frames_in_memory=options.frames_in_memory,
        external_files=options.external_files,
    )


def frame_shape(path: Path, options: ScanOptions) -> tuple[int, ...]:
    """Return the shape of the probe, or of the frames, from the headers of either file.

    Of the options only `external_files` is used.

    Raises:
        ScanDataError: a file cannot be read, or there is neither probe nor frames.
    """
    paths = [path, path.with_name(PRODUCT)]
    if path.is_dir():
        paths = [path / PRODUCT, path / DIFFRACTION]
    for one in filter(Path.exists, paths):
        with reading(_refusal, f'{one} cannot be read'):
            for name in SIZED_DATASETS:
                found = find_dataset(one, name, external_files=options.external_files)
                if found is not None:
                    return found.shape
    raise ScanDataError([f'there is no probe in {" or ".join(map(str, paths))}'])


def holds_scan(path: Path) -> bool:
    """Return whether a path is a folder with both files of a scan."""
    return path.is_dir() and all(map(Path.exists, find_pair(path)))


def read_reconstruction(path: Path) -> Reconstruction:
    """Read a product as a reconstruction.

    Raises:
        ResultFileError: no product, or one whose object has several layers or no pixel.
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.io.ptychodus.read_product import load_product_reconstruction

    return load_product_reconstruction(path)


def read_comments(path: Path) -> str:
    """Read the comments of a product.

    Raises:
        ResultFileError: no product.
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.io.ptychodus.read_product import load_product_comments

    return load_product_comments(path)


def write_reconstruction(
    path: Path, reconstruction: Reconstruction, scan: ScanData, comments: str
) -> None:
    """Write a reconstruction as a product.

    Raises:
        OutputError: the file cannot be written there.
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.io.ptychodus.write_product import save_product

    save_product(path, reconstruction, scan, name=path.stem, comments=comments)


def read_probe(path: Path, options: ScanOptions) -> ComplexArray:
    """Return the main probe of a product, complex64 (modes, N, N).

    Of the options only `external_files` is used.

    Raises:
        ScanDataError: there is no such product.
        UnavailableError: Ptychodus is not installed.
    """
    from ptychopinn_plugin.io.ptychodus.read_scan import load_product_probe

    return load_product_probe(path, external_files=options.external_files)


def find_pair(path: Path, product: Path | None = None) -> tuple[Path, Path]:
    """Return the diffraction file and the product of a scan.

    Args:
        path: the folder of both, or either file.
        product: the product, where it lies elsewhere.
    """
    if path.is_dir():
        return path / DIFFRACTION, product or path / PRODUCT
    if product is None and _is_product(path):
        return path.with_name(DIFFRACTION), path
    return path, product or path.with_name(PRODUCT)


def is_own_layout(path: Path) -> bool:
    """Return whether an HDF5 file is one of the two of a scan, or cannot be opened.

    Other files are those of instruments, training data of Ptychodus among them.
    """
    names = _names(path)
    if path.name in (DIFFRACTION, PRODUCT) or names is None:
        return True
    if {'patterns', 'indexes'} <= names:
        return True
    return 'probe' in names and 'patterns' not in names


def _is_product(path: Path) -> bool:
    names = _names(path)
    if names is None:
        return path.name == PRODUCT
    return 'probe' in names and 'patterns' not in names


def _names(path: Path) -> set[str] | None:
    """Return the names in an HDF5 file; None where it is none, or cannot be opened."""
    # Opening a named pipe waits for a writer.
    if why_not_a_file(path):
        return None
    try:
        with reading(_refusal, f'{path} cannot be read'), h5py.File(path, 'r') as file:
            return set(file)
    except ScanDataError:
        return None


def _refusal(text: str) -> ScanDataError:
    return ScanDataError([text])


def _check_options(path: Path, options: ScanOptions) -> None:
    """Refuse options that mean nothing for Ptychodus' files, whose contents are settled."""
    given = {
        'domain': options.domain is not None,
        'axis_order': options.axis_order is not None,
        'dc': options.dc != 'center',
        'photons': options.photons is not None,
        'frames': options.frames is not None,
    }
    names = [name for name, is_given in given.items() if is_given]
    faults = [f'load_scan({name}=...) is for .npz files; {path} {_SETTLED}' for name in names]
    faults += [
        f'load_scan({name}=...) is for files of instruments; {path} {_SETTLED}'
        for name in options.instrument.given()
    ]
    if faults:
        raise ScanDataError(faults)
