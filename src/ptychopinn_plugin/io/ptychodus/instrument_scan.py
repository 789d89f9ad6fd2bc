"""Scans from the files of instruments, read with the readers of Ptychodus."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.geometry import PixelGeometry
from ptychodus.api.object import Object, ObjectCenter
from ptychodus.api.probe import ProbeSequence
from ptychodus.api.product import Product, ProductMetadata
from ptychodus.api.reconstruct import ReconstructInput

from ptychopinn_plugin.io.file_format import ScanOptions
from ptychopinn_plugin.io.npz_arrays import given_probe
from ptychopinn_plugin.io.npz_frames import StoredFrames, all_whole, stored_in_file
from ptychopinn_plugin.io.npz_scan import scale_counts
from ptychopinn_plugin.io.ptychodus.beam_region import find_region
from ptychopinn_plugin.io.ptychodus.cxi_file import TYPE as CXI
from ptychopinn_plugin.io.ptychodus.cxi_file import read_cxi_probe
from ptychopinn_plugin.io.ptychodus.detector_frames import (
    DetectorFrames,
    read_detector_frames,
)
from ptychopinn_plugin.io.ptychodus.instrument_files import (
    InstrumentParts,
    read_dataset,
    read_parts,
)
from ptychopinn_plugin.io.ptychodus.instrument_geometry import Geometry, find_geometry
from ptychopinn_plugin.io.ptychodus.pairing import pair
from ptychopinn_plugin.io.ptychodus.probe_relaxation import read_probes
from ptychopinn_plugin.io.ptychodus.read_scan import positions_of
from ptychopinn_plugin.scan.builder import ScanBuilder
from ptychopinn_plugin.scan.data import BoolArray, ScanData, ScanMetadata
from ptychopinn_plugin.scan.frame_source import select_frames

# Products and files of frames round the size of a pixel differently.
PIXEL_TOLERANCE = 1e-3


def load_instrument_scan(path: Path, options: ScanOptions) -> ScanData:
    """Read a scan from a file of an instrument and what belongs to it.

    Frames and positions are paired by scan index, as Ptychodus does it. Positions, probe and object
    come from the product that is named, else from the file itself where its type has them.

    Args:
        path: the file with the frames, or one of a series of such files.
        options: how to read it.

    Raises:
        ScanDataError: with what is wrong, unknown or cannot be found from the files.
    """
    given = options.instrument
    type_name, dataset = read_dataset(path, options)
    builder = ScanBuilder(str(path), decisions=[f'{path.name} is read as {type_name}'])
    parts = read_parts(path, type_name, options)
    frames = read_detector_frames(
        dataset,
        path.name,
        given.crop,
        given.beam_center,
        options.frames_in_memory,
        external_files=options.external_files,
    )
    builder.decisions += [*frames.decisions, *parts.decisions]
    geometry = find_geometry(
        given,
        dataset.get_metadata(),
        None if parts.product is None else parts.product.metadata,
        frames.size,
        builder.decisions,
    )
    product = _complete(parts, geometry)
    paired = _pair(builder, frames.indexes, product)
    kept = paired.diffraction_patterns.ravel().astype(np.int64)
    _add_probe(builder, path, type_name, options, frames.size, paired.product)
    builder.positions_px = positions_of(paired.product, frames.size)
    _add_object(builder, paired.product)
    is_unknown = builder.probe is None and not options.needs_probe
    builder.metadata = _metadata(paired.product, geometry, is_unknown=is_unknown)
    _add_frames(builder, frames, kept, path.name, options)
    return builder.build()


def instrument_frame_shape(path: Path, options: ScanOptions) -> tuple[int, int]:
    """Return (N, N) of the frames that `load_instrument_scan` reads.

    Raises:
        ScanDataError: no reader takes the file, or the frames do not lie on the detector.
    """
    _, dataset = read_dataset(path, options)
    given = options.instrument
    region, _ = find_region(dataset, given.crop, given.beam_center)
    return region.height_px, region.width_px


def _complete(parts: InstrumentParts, geometry: Geometry) -> Product:
    """Return a product with all that pairing and mapping to object pixels need."""
    height_m, width_m = geometry.pixel_size_m
    pixels, old = PixelGeometry(width_m, height_m), None
    probes = ProbeSequence(None, None, pixels)
    if parts.product is not None:
        probes = parts.product.probes
        old = _known_object(parts.product, geometry)
    return Product(
        ProductMetadata('', '', 0.0, 0.0, 0, 0.0, 0.0, 0.0),
        parts.positions,
        probes,
        old or Object(None, pixels, ObjectCenter(0.0, 0.0)),
        [],
    )


def _known_object(product: Product, geometry: Geometry) -> Object | None:
    """Return the object of a product where its place is known and its pixels are those used."""
    try:
        pixels, _ = product.object_.get_pixel_geometry(), product.object_.get_center()
    except ValueError:
        # Ptychodus reads products without pixel size and centre, and refuses to return these.
        return None
    found = (float(pixels.height_m), float(pixels.width_m))
    fits = np.allclose(found, geometry.pixel_size_m, rtol=PIXEL_TOLERANCE)
    return product.object_ if fits else None


def _pair(
    builder: ScanBuilder, indexes: npt.NDArray[np.int64], product: Product
) -> ReconstructInput:
    """Pair frames and positions; the patterns of the result are the numbers of the frames."""
    numbers = np.arange(len(indexes)).reshape(-1, 1, 1)
    data = AssembledDiffractionData(
        indexes.astype(np.intp), numbers, PixelGeometry(0.0, 0.0), np.zeros((1, 1), np.bool_)
    )
    parameters, decisions = pair(data, product)
    builder.decisions += decisions
    return parameters


def _add_probe(
    builder: ScanBuilder,
    path: Path,
    type_name: str,
    options: ScanOptions,
    size: int,
    product: Product,
) -> None:
    """Give a builder the probe that is named, of the product, or of the file."""
    if options.probe is not None:
        builder.probe = builder.attempt(given_probe, options.probe, builder.decisions)
        return
    if 0 not in product.probes.get_array().shape:
        builder.probe, builder.estimates = read_probes(
            product.probes, len(product.probe_positions), builder.decisions
        )
        return
    if type_name == CXI:
        builder.probe = read_cxi_probe(path, size, external_files=options.external_files)
    if builder.probe is not None:
        return
    if options.needs_probe:
        builder.faults.append(
            f'{path} has no probe; a starting probe is needed, with load_scan(probe=...) or in a '
            'product with load_scan(product=...)'
        )
    else:
        builder.decisions.append('the files have no probe: it is estimated from the frames')


def _add_object(builder: ScanBuilder, product: Product) -> None:
    known = product.object_
    if 0 in known.get_array().shape:
        return
    if known.num_layers > 1:
        builder.faults.append(
            f'the object of the product has {known.num_layers} layers; one layer is needed, '
            'flatten it in Ptychodus'
        )
        return
    builder.object_guess = known.get_layer(0).astype(np.complex64)


def _metadata(product: Product, geometry: Geometry, *, is_unknown: bool) -> ScanMetadata:
    center = product.object_.get_center()
    return ScanMetadata(
        pixel_size_m=geometry.pixel_size_m,
        photon_energy_ev=geometry.photon_energy_ev,
        detector_distance_m=geometry.detector_distance_m,
        object_center_m=(center.y_m, center.x_m),
        scan_index=np.array([p.index for p in product.probe_positions], dtype=np.int64),
        probe_is_unknown=is_unknown,
    )


def _add_frames(
    builder: ScanBuilder,
    frames: DetectorFrames,
    kept: npt.NDArray[np.int64],
    name: str,
    options: ScanOptions,
) -> None:
    """Give a builder the frames that have a position, as photons, and their mask."""
    if isinstance(frames.values, np.ndarray):
        chosen = frames.values if len(kept) == len(frames.values) else frames.values[kept]
        stored = StoredFrames(
            chosen.astype(np.float32), name, frames.dtype, all_whole(chosen), 'nhw'
        )
    else:
        stored = stored_in_file(frames.values, name, 'nhw')
        stored = dataclasses.replace(stored, values=select_frames(stored.values, kept))
    builder.counts, builder.mask = stored.values, frames.bad_pixels
    # Before their values are looked at: those of frames without data may be anything.
    builder.leave_out(frames.empty[kept], 'without data')
    assert builder.positions_px is not None
    has_no_position = np.isnan(builder.positions_px.sum(axis=1))
    builder.leave_out(has_no_position, 'without a position')
    stored = dataclasses.replace(stored, values=builder.counts)
    builder.add_mask(_cut_mask(options.mask, frames))
    scale_counts(builder, stored, (None, options.domain, False), options.photons, None)


def _cut_mask(mask: BoolArray | None, frames: DetectorFrames) -> BoolArray | None:
    """Return a mask of the frames, from one of the whole detector too."""
    whole = mask is not None and mask.shape == frames.extent
    return mask[frames.region] if mask is not None and whole else mask
