"""Writing scans as files of Ptychodus: a pair of files, or one of its training data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from ptychodus.api import io as ptychodus_io
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.constants import energy_eV_to_wavelength_m
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.product import Product
from ptychodus.api.reconstruct import prepare_reconstruct_input

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.io.ptychodus.build_product import build_product
from ptychopinn_plugin.io.ptychodus.instrument import find_instrument
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.scan.data import ScanData
from ptychopinn_plugin.scan.frame_chunks import frame_chunks


def save_ptychodus_pair(folder: Path, scan: ScanData) -> None:
    """Write a scan as `diffraction.h5` and `product.h5`, the way Ptychodus keeps one.

    Whole counts are stored as integers. The product's object is the scan's guess, or ones.

    Args:
        folder: made if it is not there.
        scan: the scan.

    Raises:
        OutputError: the folder or a file cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'the folder {folder} cannot be made: {error.strerror}') from error
    product = _starting_product(scan)
    with replacing(folder / ptychodus_io.StandardFileLayout.DIFFRACTION.value) as file:
        # h5py takes open files, whatever type the host's functions name.
        ptychodus_io.save_diffraction_data(cast('Path', file), _diffraction_data(scan))
    with replacing(folder / ptychodus_io.StandardFileLayout.PRODUCT.value) as file:
        ptychodus_io.save_product(cast('Path', file), product)


def save_ptychodus_scan(path: Path, scan: ScanData) -> None:
    """Write a scan as one HDF5 file that the window of Ptychodus opens.

    Its type there is `Ptychodus Training Data Files`, for the diffraction data and for the product.

    Args:
        path: the file.
        scan: the scan.

    Raises:
        OutputError: it cannot be written there, or Ptychodus is older than 1.7.
    """
    save = getattr(ptychodus_io, 'save_training_data', None)
    if save is None:
        raise OutputError(f'{path} needs Ptychodus 1.7 or later; give the name of an .npz file')
    data = _diffraction_data(scan)
    parameters = prepare_reconstruct_input(data, _starting_product(scan))
    with replacing(Path(path)) as file:
        # Counts as measured; the mask says which pixels to leave out.
        save(cast('Path', file), parameters, inpaint_bad_pixels=False)


def _starting_product(scan: ScanData) -> Product:
    """Return the product of a scan before it is reconstructed: its guess, or ones."""
    instrument = find_instrument(scan)
    canvas = Canvas.for_scan(scan)
    guess = np.ones(canvas.shape, dtype=np.complex64)
    if scan.object_guess is not None:
        top, left = -canvas.origin_px[0], -canvas.origin_px[1]
        height, width = scan.object_guess.shape
        guess[top : top + height, left : left + width] = scan.object_guess
    return build_product(
        scan,
        guess,
        canvas.origin_px,
        scan.probe,
        name=Path(scan.source).stem or 'scan',
        comments='\n'.join([f'Converted from {scan.source or "a scan"}', *instrument.notes]),
    )


def _diffraction_data(scan: ScanData) -> AssembledDiffractionData:
    instrument = find_instrument(scan)
    wavelength_m = energy_eV_to_wavelength_m(instrument.photon_energy_ev)
    # In the far field an object pixel is wavelength * distance / (N * detector pixel).
    extent = wavelength_m * instrument.detector_distance_m / scan.frame_size
    height_m, width_m = instrument.pixel_size_m
    index = scan.metadata.scan_index
    return AssembledDiffractionData(
        np.arange(scan.frame_count, dtype=np.intp) if index is None else index.astype(np.intp),
        _as_stored(scan.counts),
        PixelGeometry(width_m=extent / width_m, height_m=extent / height_m),
        scan.mask,
    )


def _as_stored(counts: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return whole counts in the smallest of the usual integer dtypes, others as they are."""
    if not all(np.array_equal(some, np.rint(some)) for _, some in frame_chunks(counts)):
        return np.asarray(counts)
    peak = max(float(some.max()) for _, some in frame_chunks(counts))
    # Readers take an integer dtype for counts.
    for dtype in (np.uint16, np.uint32):
        if peak <= np.iinfo(dtype).max:
            return np.asarray(counts).astype(dtype)
    return np.asarray(counts)
