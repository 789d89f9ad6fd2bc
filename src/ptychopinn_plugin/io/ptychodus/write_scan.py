"""Writing scans as files of Ptychodus: a pair of files, or one of its training data."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from ptychodus.api import io as ptychodus_io
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.constants import energy_eV_to_wavelength_m
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.product import Product
from ptychodus.api.reconstruct import prepare_reconstruct_input

from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.ptychodus.build_product import build_product
from ptychopinn_plugin.io.ptychodus.instrument import find_instrument
from ptychopinn_plugin.io.ptychodus.write_product import PROBE_UNKNOWN
from ptychopinn_plugin.io.stored_counts import counts_dtype
from ptychopinn_plugin.scan.canvas import Canvas
from ptychopinn_plugin.scan.data import ScanData
from ptychopinn_plugin.scan.frame_source import frames_in_file


def save_ptychodus_pair(folder: Path, scan: ScanData) -> None:
    """Write a scan as `diffraction.h5` and `product.h5`, the way Ptychodus keeps one.

    Whole counts are stored as integers. The product's object is the scan's guess, or ones.

    Args:
        folder: made if it is not there.
        scan: the scan.

    Raises:
        OutputError: the folder or a file cannot be written, or the frames do not fit into memory,
            from which Ptychodus writes them.
    """
    folder = Path(folder)
    if frames_in_file(scan.counts) and (
        fault := memory_fault(f'writing {folder}', 2.0 * scan.counts.nbytes)
    ):
        raise OutputError(fault)
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
    source = scan.source or 'a scan'
    probe = [PROBE_UNKNOWN] if scan.metadata.probe_is_unknown else []
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
        comments='\n'.join([f'Converted from {source}', *probe, *instrument.notes]),
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
        np.asarray(scan.counts).astype(counts_dtype(scan.counts), copy=False),
        PixelGeometry(width_m=extent / width_m, height_m=extent / height_m),
        scan.mask,
    )
