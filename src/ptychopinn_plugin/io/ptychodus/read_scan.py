"""Scans from the files and the inputs of Ptychodus."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.io import StandardFileLayout
from ptychodus.api.product import Product, ProductMetadata
from ptychodus.api.reconstruct import ReconstructInput

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.frame_files import FramesInMemory
from ptychopinn_plugin.io.npz_arrays import given_probe
from ptychopinn_plugin.io.ptychodus.checked_files import (
    FramesOfFile,
    frames_fit,
    load_diffraction_file,
    load_product_file,
    open_diffraction_file,
)
from ptychopinn_plugin.io.ptychodus.history_comment import read_history
from ptychopinn_plugin.io.ptychodus.pairing import pair
from ptychopinn_plugin.io.ptychodus.probe_relaxation import read_probes
from ptychopinn_plugin.io.ptychodus.write_product import has_refined_probe, has_unknown_probe
from ptychopinn_plugin.io.ptychodus_coordinates import from_host
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.scan import orient
from ptychopinn_plugin.scan.axis_orientation import ORIENTED
from ptychopinn_plugin.scan.builder import ScanBuilder, focused_probe
from ptychopinn_plugin.scan.data import (
    BoolArray,
    ComplexArray,
    PositionArray,
    ScanData,
    ScanMetadata,
)
from ptychopinn_plugin.scan.frame_source import FramesInFile

# Overlap with the focus of the mean frame above which a probe is that placeholder: frames that were
# dropped since change it a little, a probe of the pupil that is defocused has 0.5 or less.
SAME_PROBE = 0.99


def load_ptychodus_folder(
    folder: Path,
    *,
    probe: Path | ComplexArray | None = None,
    orientation: OrientationConfig | None = None,
    frames_in_memory: FramesInMemory = 'auto',
) -> ScanData:
    """Read `diffraction.h5` and `product.h5` of a Ptychodus folder.

    Raises:
        ScanDataError: as `load_ptychodus`.
    """
    diffraction = StandardFileLayout.DIFFRACTION.path(folder)
    product = StandardFileLayout.PRODUCT.path(folder)
    return load_ptychodus(
        diffraction,
        product,
        probe=probe,
        orientation=orientation,
        frames_in_memory=frames_in_memory,
    )


def load_ptychodus(
    diffraction_h5: Path,
    product_h5: Path,
    *,
    probe: Path | ComplexArray | None = None,
    orientation: OrientationConfig | None = None,
    mask: BoolArray | None = None,
    frames_in_memory: FramesInMemory = 'auto',
    external_files: bool = False,
) -> ScanData:
    """Read a scan from Ptychodus' diffraction file and product.

    Frames and positions are paired by scan index as the host does it: positions of the same index
    are averaged, missing ones are interpolated between their neighbours, and frames before the
    first or behind the last position are dropped. `decisions` counts all of them.

    Args:
        diffraction_h5: assembled diffraction data, counts.
        product_h5: positions, probe and object.
        probe: a probe file (.npz, .npy) or array in place of the product's.
        orientation: as for `scan_from_input`.
        mask: as for `scan_from_input`.
        frames_in_memory: see `load_scan`.
        external_files: see `load_scan`.

    Raises:
        ScanDataError: with every fault of both files.
    """
    source = f'{diffraction_h5} + {product_h5.name}'
    builder = ScanBuilder(source)
    frames: FramesOfFile | None = None
    data: AssembledDiffractionData | None = None
    if frames_fit(diffraction_h5, frames_in_memory, _refusal, external_files=external_files):
        data = builder.attempt(
            load_diffraction_file, diffraction_h5, _refusal, external_files=external_files
        )
    elif opened := builder.attempt(
        open_diffraction_file, diffraction_h5, _refusal, external_files=external_files
    ):
        data, frames = opened
    product = builder.attempt(
        load_product_file, product_h5, _refusal, external_files=external_files
    )
    if data is None or product is None:
        raise ScanDataError(builder.faults, source)
    with reading(_refusal, f'{source}: frames and positions do not pair'):
        parameters, decisions = pair(data, product)
        del data
        return scan_from_input(parameters, source, decisions, probe, orientation, mask, frames)


def load_product_probe(product_h5: Path, *, external_files: bool = False) -> ComplexArray:
    """Return the main probe of a product, complex64 (modes, N, N).

    Args:
        product_h5: the product.
        external_files: see `load_scan`.

    Raises:
        ScanDataError: there is no such product.
    """
    product = load_product_file(product_h5, _refusal, external_files=external_files)
    with reading(_refusal, f'{product_h5} cannot be read'):
        array: ComplexArray = product.probes.get_probe_no_opr().get_array().astype(np.complex64)
        return array


def scan_from_input(
    parameters: ReconstructInput,
    source: str = 'Ptychodus',
    decisions: tuple[str, ...] = (),
    probe: Path | ComplexArray | None = None,
    orientation: OrientationConfig | None = None,
    mask: BoolArray | None = None,
    frames: FramesOfFile | None = None,
) -> ScanData:
    """Return the scan that Ptychodus hands to a reconstructor.

    Positions move by half a pixel (the host's coordinate is the middle of a patch, ours its pixel
    N//2), counts become float32, bad pixels the mask, the object's shape the canvas. A product
    whose comments say that its positions were oriented before is not oriented again.

    Args:
        parameters: frames (n, N, N) counts, bad pixels (N, N) True where bad, and the product.
        source: for messages.
        decisions: taken on the way here.
        probe: a probe file (.npz, .npy) or array in place of the product's.
        orientation: how to orient the positions; None leaves them.
        mask: bool (N, N), True for pixels that are bad beside those of the input.
        frames: frames that stay in their file; the input's are their numbers, (n, 1, 1).

    Raises:
        ScanDataError: with every fault, several object layers among them.
    """
    product = parameters.product
    builder = ScanBuilder(source, decisions=list(decisions))
    dtype = _add_frames(builder, parameters, frames)
    assert builder.counts is not None
    builder.add_mask(mask)
    builder.settle_negative_values(dtype)
    builder.mask_largest_values(dtype)
    if probe is None:
        builder.probe, builder.estimates = read_probes(
            product.probes, len(product.probe_positions), builder.decisions
        )
    else:
        builder.probe = builder.attempt(given_probe, probe, builder.decisions)
    builder.positions_px = builder.attempt(positions_of, product, builder.counts.shape[-1])
    if product.object_.num_layers > 1:
        builder.faults.append(
            f'the object of the product has {product.object_.num_layers} layers; one layer is '
            'needed, flatten it in Ptychodus'
        )
    elif 0 not in product.object_.get_array().shape:
        builder.object_guess = product.object_.get_layer(0).astype(np.complex64)
    builder.metadata = _metadata(product, with_probe=probe is None)
    orientation = orientation or OrientationConfig()
    if orientation.operations and ORIENTED in product.metadata.comments:
        orientation = OrientationConfig()
        builder.decisions.append(
            'positions were oriented when this product was reconstructed, as its comments say; '
            'they are not oriented again'
        )
    builder.leave_out_missing(dtype)
    scan = builder.build()
    if probe is None and has_unknown_probe(product):
        scan = _without_placeholder(scan)
    return orient(scan, orientation)


def _add_frames(
    builder: ScanBuilder, parameters: ReconstructInput, frames: FramesOfFile | None
) -> np.dtype[Any]:
    """Give a builder frames and bad pixels; return the dtype of the frames as stored."""
    patterns = np.asarray(parameters.diffraction_patterns)
    if frames is not None:
        numbers = patterns.ravel().astype(np.int64)
        builder.counts = FramesInFile(frames.source, numbers).as_counts()
        builder.mask = frames.bad_pixels
        builder.decisions.append(frames.decision)
        return frames.source.dtype
    builder.counts = patterns.astype(np.float32)
    if parameters.bad_pixels is not None:
        builder.mask = np.asarray(parameters.bad_pixels, dtype=np.bool_)
    return patterns.dtype


def photon_energy_ev(metadata: ProductMetadata) -> float:
    """Return the photon energy under the name that this version of Ptychodus gives it."""
    name = 'photon_energy_eV' if hasattr(metadata, 'photon_energy_eV') else 'probe_energy_eV'
    return float(getattr(metadata, name))


def _refusal(text: str) -> ScanDataError:
    return ScanDataError([text])


def positions_of(product: Product, frame_size: int) -> PositionArray:
    """Return positions_px of a product, float64 (n, 2).

    Raises:
        ScanDataError: its object pixels have no size.
    """
    geometry = product.object_.get_geometry()
    if not (geometry.pixel_width_m > 0 and geometry.pixel_height_m > 0):
        raise ScanDataError(
            [
                'the object pixels of the product must have a size, got '
                f'{geometry.pixel_height_m} m x {geometry.pixel_width_m} m'
            ]
        )
    points = [geometry.map_coordinates_probe_to_object(p) for p in product.probe_positions]
    return from_host(np.array([(p.y_px, p.x_px) for p in points], dtype=np.float64), frame_size)


def _metadata(product: Product, *, with_probe: bool) -> ScanMetadata:
    geometry = product.object_.get_geometry()
    history = read_history(product)
    return ScanMetadata(
        pixel_size_m=(geometry.pixel_height_m, geometry.pixel_width_m),
        photon_energy_ev=photon_energy_ev(product.metadata),
        detector_distance_m=float(product.metadata.detector_distance_m),
        object_center_m=(geometry.center_y_m, geometry.center_x_m),
        scan_index=np.array([p.index for p in product.probe_positions], dtype=np.int64),
        probe_is_refined=with_probe and has_refined_probe(product),
        # Another probe than that of the object is no refined one.
        history=history if with_probe else dataclasses.replace(history, updates_probe=False),
    )


def _without_placeholder(scan: ScanData) -> ScanData:
    """Return a scan whose probe is unknown, unless it got one since its product was written."""
    focus, probe = focused_probe(scan.counts), scan.probe
    if probe.shape != focus.shape:
        return scan
    norms = float(np.linalg.norm(focus)) * float(np.linalg.norm(probe))
    if abs(np.vdot(focus, probe)) < SAME_PROBE * norms:
        return scan
    metadata = dataclasses.replace(scan.metadata, probe_is_unknown=True)
    return dataclasses.replace(scan, metadata=metadata)
