"""Loading the files of Ptychodus with its own readers, after their headers were checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.io import load_diffraction_data, load_product
from ptychodus.api.product import Product

from ptychopinn_plugin.errors import PtychoPINNError
from ptychopinn_plugin.io.hdf5_checks import hdf5_faults
from ptychopinn_plugin.io.reading_errors import reading

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

MakeError: TypeAlias = Callable[[str], PtychoPINNError]


def load_diffraction_file(path: Path, error: MakeError) -> AssembledDiffractionData:
    """Return the content of a diffraction file.

    Args:
        path: the file.
        error: makes the error of a sentence, raised for whatever is wrong with the file.
    """
    with _checked(path, 'diffraction file', DIFFRACTION_ARRAYS, DIFFRACTION_LISTS, error):
        return load_diffraction_data(path)


def load_product_file(path: Path, error: MakeError) -> Product:
    """Return the content of a product.

    Args:
        path: the file.
        error: makes the error of a sentence, raised for whatever is wrong with the file.
    """
    with _checked(path, 'product', PRODUCT_ARRAYS, PRODUCT_LISTS, error):
        return load_product(path)


@contextmanager
def _checked(
    path: Path, what: str, arrays: Sequence[str], lists: Sequence[str], error: MakeError
) -> Iterator[None]:
    """Check the headers of a file; raise whatever its reader raises as `error`."""
    if not path.is_file():
        raise error(f'there is no {what} {path}')
    sentence = f'{path} cannot be read as a {what} of Ptychodus'
    with reading(error, sentence, '; save it again there'):
        faults = hdf5_faults(path, arrays, lists)
        if faults:
            raise error('; '.join(faults))
        yield
