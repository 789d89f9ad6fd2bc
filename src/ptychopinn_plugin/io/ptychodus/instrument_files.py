"""The files of one scan at an instrument: frames, positions, product and probe.

Positions and product come from the files that are named, else from that of the frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from ptychodus.api.diffraction import DiffractionDataset
from ptychodus.api.probe import ProbeSequence
from ptychodus.api.probe_positions import ProbePositionSequence
from ptychodus.api.product import Product

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.file_format import ScanOptions
from ptychopinn_plugin.io.ptychodus.cxi_file import TYPE as CXI
from ptychopinn_plugin.io.ptychodus.cxi_file import read_cxi_positions
from ptychopinn_plugin.io.ptychodus.readers import read_file, readers, readers_of, type_names
from ptychopinn_plugin.io.separate_frames import split_name
from ptychopinn_plugin.scan.data import ComplexArray


@dataclass
class InstrumentParts:
    """What the files of a scan give beside the frames.

    Attributes:
        positions: metres.
        product: that they come from, None where they do not.
        decisions: where they were found, a sentence each.
    """

    positions: ProbePositionSequence
    product: Product | None = None
    decisions: list[str] = field(default_factory=list)


def read_dataset(path: Path, options: ScanOptions) -> tuple[str, DiffractionDataset]:
    """Return the type of a file of frames, and its frames.

    Raises:
        ScanDataError: no reader takes the file.
    """
    found = read_file(
        'diffraction',
        path,
        options.instrument.diffraction_type,
        external_files=options.external_files,
    )
    return found.type_name, found.content


def read_parts(path: Path, type_name: str, options: ScanOptions) -> InstrumentParts:
    """Return positions and product, from the files that are named, else from that of the frames.

    Args:
        path: the file of the frames.
        type_name: of this file.
        options: the files that are named.

    Raises:
        ScanDataError: a file cannot be read, or there are no positions.
    """
    product, decisions = _read_product(path, type_name, options)
    read = partial(read_file, external_files=options.external_files)
    named = options.instrument.positions
    if named is not None:
        file, asked = split_name(named)
        found = read('positions', file, asked or None, related=type_name)
        decisions.append(f'positions come from {file.name}, read as {found.type_name}')
        return InstrumentParts(found.content, product, decisions)
    if product is not None:
        return InstrumentParts(product.probe_positions, product, decisions)
    if type_name == CXI:
        found_positions = read_cxi_positions(path, external_files=options.external_files)
        return InstrumentParts(found_positions, None, decisions)
    if any(one.name == type_name for one in readers_of('positions', path)):
        return InstrumentParts(read('positions', path, type_name).content, None, decisions)
    raise ScanDataError(
        [
            f'{path} has frames and no positions; name a file of them with '
            f'load_scan(positions=...), of one of the types {type_names("positions")}, or a '
            'product with load_scan(product=...)'
        ]
    )


def _read_product(
    path: Path, type_name: str, options: ScanOptions
) -> tuple[Product | None, list[str]]:
    read = partial(read_file, 'product', external_files=options.external_files)
    if options.product is not None:
        found = read(options.product, related=type_name)
        return found.content, [f'{options.product.name} is read as a product, {found.type_name}']
    if not any(one.name == type_name for one in readers('product')):
        return None, []
    try:
        return read(path, type_name).content, []
    except ScanDataError:
        # Files of such a type may have the frames alone.
        return None, []


def load_instrument_probe(path: Path, options: ScanOptions) -> ComplexArray:
    """Return the probe of a file with one of Ptychodus' readers, complex64 (modes, N, N).

    Of the options only `external_files` is used.

    Raises:
        ScanDataError: no reader takes the file.
    """
    probes: ProbeSequence = read_file('probe', path, external_files=options.external_files).content
    array: ComplexArray = probes.get_probe_no_opr().get_array().astype(np.complex64)
    return array
