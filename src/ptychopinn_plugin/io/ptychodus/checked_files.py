"""Loading the files of Ptychodus with its own readers, after their headers were checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.io import load_diffraction_data, load_product
from ptychodus.api.product import Product

from ptychopinn_plugin.errors import PtychoPINNError
from ptychopinn_plugin.io.frame_files import FramesInMemory, left_in_file, reads_into_memory
from ptychopinn_plugin.io.hdf5_checks import find_dataset, hdf5_faults
from ptychopinn_plugin.io.hdf5_frames import open_hdf5_frames
from ptychopinn_plugin.io.hdf5_links import ForeignStorageError
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.scan.data import BoolArray
from ptychopinn_plugin.scan.frame_source import FrameSource

PRODUCT_ARRAYS = ('object', 'probe', 'opr_weights')
PRODUCT_LISTS = (
    'object_layer_spacing',
    'probe_position_indexes',
    'probe_position_x_m',
    'probe_position_y_m',
    'probe_photon_counts',
    'loss_epochs',
    'loss_values',
)
DIFFRACTION_ARRAYS = ('patterns', 'bad_pixels')
DIFFRACTION_LISTS = ('indexes', 'probe_photon_counts')

PATTERNS = 'patterns'

MakeError: TypeAlias = Callable[[str], PtychoPINNError]


@dataclass(frozen=True, eq=False)
class FramesOfFile:
    """What stays in a diffraction file, and what belongs to it.

    Attributes:
        source: the frames.
        bad_pixels: bool (N, N), True where bad.
        decision: how the frames are read, one sentence.
    """

    source: FrameSource
    bad_pixels: BoolArray
    decision: str


def load_diffraction_file(
    path: Path, error: MakeError, *, external_files: bool = False
) -> AssembledDiffractionData:
    """Return the content of a diffraction file.

    Args:
        path: the file.
        error: makes the error of a sentence, raised for whatever is wrong with the file.
        external_files: see `load_scan`.
    """
    names = (DIFFRACTION_ARRAYS, DIFFRACTION_LISTS)
    with _checked(path, 'diffraction file', names, error, external_files=external_files):
        return load_diffraction_data(path)


def open_diffraction_file(
    path: Path, error: MakeError, *, external_files: bool = False
) -> tuple[AssembledDiffractionData, FramesOfFile]:
    """Return the content of a diffraction file, with numbers in place of its frames.

    Args:
        path: the file.
        error: makes the error of a sentence, raised for whatever is wrong with the file.
        external_files: see `load_scan`.

    Returns:
        Data whose patterns, (n, 1, 1), are the numbers of the frames in the file, and the frames.
    """
    names = (DIFFRACTION_ARRAYS, DIFFRACTION_LISTS)
    with _checked(
        path, 'diffraction file', names, error, (PATTERNS,), external_files=external_files
    ):
        frames, is_copy = open_hdf5_frames(path, PATTERNS)
        with h5py.File(path, 'r') as file:
            indexes, bad_pixels = file['indexes'][()], np.asarray(file['bad_pixels'][()], np.bool_)
        if bad_pixels.shape != frames.shape[1:]:
            raise ValueError(f'bad pixels {bad_pixels.shape} of frames {frames.shape[1:]}')
        numbers = np.arange(frames.shape[0]).reshape(-1, 1, 1)
        # What pairs frames and positions looks at the scan indexes only.
        data = AssembledDiffractionData(
            indexes, numbers, PixelGeometry(0.0, 0.0), np.zeros((1, 1), np.bool_)
        )
        said = left_in_file(f'{path.name}, {PATTERNS!r}', frames, is_copy=is_copy)
        return data, FramesOfFile(frames, bad_pixels, said)


def frames_fit(
    path: Path,
    frames_in_memory: FramesInMemory,
    error: MakeError,
    *,
    external_files: bool = False,
) -> bool:
    """Return whether the frames of a diffraction file are read into memory."""
    if frames_in_memory == 'yes' or not path.is_file():
        return True
    with reading(error, f'{path} cannot be read as a diffraction file of Ptychodus'):
        try:
            stored = find_dataset(path, PATTERNS, external_files=external_files)
        except ForeignStorageError:
            # Named with all that is wrong with the file when it is loaded.
            return True
    return stored is None or reads_into_memory(frames_in_memory, stored.shape)


def load_product_file(path: Path, error: MakeError, *, external_files: bool = False) -> Product:
    """Return the content of a product.

    Args:
        path: the file.
        error: makes the error of a sentence, raised for whatever is wrong with the file.
        external_files: see `load_scan`.
    """
    names = (PRODUCT_ARRAYS, PRODUCT_LISTS)
    with _checked(path, 'product', names, error, external_files=external_files):
        return load_product(path)


@contextmanager
def _checked(
    path: Path,
    what: str,
    names: tuple[Sequence[str], Sequence[str]],
    error: MakeError,
    not_read: Sequence[str] = (),
    *,
    external_files: bool,
) -> Iterator[None]:
    """Check the headers of a file; raise whatever its reader raises as `error`."""
    if not path.is_file():
        raise error(f'there is no {what} {path}')
    sentence = f'{path} cannot be read as a {what} of Ptychodus'
    with reading(error, sentence, '; save it again there'):
        faults = hdf5_faults(path, *names, not_read, external_files=external_files)
        if faults:
            raise error('; '.join(faults))
        yield
