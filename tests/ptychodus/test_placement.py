"""A known object, reconstructed, lies where it was: within a tenth of a pixel in the world."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from ptychodus.api.io import load_diffraction_data, load_product, save_product
from ptychodus.api.object import Object, ObjectCenter, ObjectPosition
from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
from ptychodus.api.product import Product
from ptychodus.api.reconstruct import ReconstructInput, prepare_reconstruct_input
from scipy.ndimage import map_coordinates
from skimage.registration import phase_cross_correlation

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.hosts.engine_cache import in_process_engine
from ptychopinn_plugin.hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.scan import ScanMetadata
from tests.helpers import KnownScan, make_known_scan

Metres: TypeAlias = npt.NDArray[np.float64]

pytestmark = [pytest.mark.pytorch, pytest.mark.integration]


def in_the_world(product: Product, y_m: Metres, x_m: Metres) -> npt.NDArray[np.complex128]:
    """Return the object of a product at world coordinates."""
    geometry = product.object_.get_geometry()
    rows = (y_m - geometry.center_y_m) / geometry.pixel_height_m + (geometry.height_px - 1) / 2
    columns = (x_m - geometry.center_x_m) / geometry.pixel_width_m + (geometry.width_px - 1) / 2
    host = geometry.map_coordinates_probe_to_object(ProbePosition(0, x_m[0, 0], y_m[0, 0]))
    assert (host.y_px, host.x_px) == pytest.approx((rows[0, 0], columns[0, 0]))
    array = product.object_.get_layer(0)
    parts = [map_coordinates(part, [rows, columns], order=3) for part in (array.real, array.imag)]
    return np.asarray(parts[0] + 1j * parts[1], np.complex128)


def offset_px(known: KnownScan, given: Product, product: Product) -> npt.NDArray[np.float64]:
    """Return (row, column) by which a product's object lies off the truth."""
    geometry = given.object_.get_geometry()
    # The truth lies on the pixels of the given object; look at what many frames have seen.
    first = np.ceil(known.scan.positions_px.min(axis=0)).astype(int)
    last = np.floor(known.scan.positions_px.max(axis=0)).astype(int)
    rows, columns = np.mgrid[first[0] : last[0], first[1] : last[1]]
    y_m = geometry.center_y_m + (rows - (geometry.height_px - 1) / 2) * geometry.pixel_height_m
    x_m = geometry.center_x_m + (columns - (geometry.width_px - 1) / 2) * geometry.pixel_width_m
    truth = known.ground_truth[first[0] : last[0], first[1] : last[1]]
    found = in_the_world(product, y_m, x_m)
    found *= np.exp(-1j * np.angle(np.vdot(truth, found)))
    flat = [each - each.mean() for each in (truth, found)]
    shift = phase_cross_correlation(*flat, upsample_factor=100, normalization=None)[0]
    return np.asarray(shift, np.float64)


def with_positions(product: Product, known: KnownScan) -> Product:
    """Return a product whose positions are where Ptychodus has the middle of each patch."""
    geometry, size = product.object_.get_geometry(), known.scan.frame_size
    # Pixel N//2 of a patch lies on the position, hence its first pixel N//2 before it.
    middles = known.scan.positions_px - size // 2 + (size - 1) / 2
    return dataclasses.replace(
        product,
        probe_positions=ProbePositionSequence(
            [
                geometry.map_coordinates_object_to_probe(ObjectPosition(index, x_px, y_px))
                for index, (y_px, x_px) in enumerate(middles)
            ]
        ),
    )


@pytest.mark.parametrize('frame_size', [32, 31])
@pytest.mark.parametrize('cut', [0, 9])
def test_the_object_lies_where_it_was(tmp_path: Path, frame_size: int, cut: int) -> None:
    known = make_known_scan(frame_size=frame_size, side=7, step_px=4.0, photons=1e6)
    scan = known.scan
    metadata = ScanMetadata(
        pixel_size_m=(1.1e-8, 1.3e-8),
        photon_energy_ev=8800.0,
        detector_distance_m=1.9,
        object_center_m=(3.2e-6, -7.1e-6),
    )
    object.__setattr__(scan, 'metadata', metadata)
    save_ptychodus_pair(tmp_path, scan)
    given = with_positions(load_product(tmp_path / 'product.h5'), known)
    parameters = prepare_reconstruct_input(
        load_diffraction_data(tmp_path / 'diffraction.h5'), given
    )
    made = PtychoPINNTrainableReconstructor(
        backend='pytorch',
        engine_factory=in_process_engine,
        inference=InferenceConfig(refine_iterations=60),
    )
    *_, last = made.reconstruct(trimmed(parameters, cut))
    # As other programs see it: through the file.
    save_product(tmp_path / 'result.h5', last.product)
    product = load_product(tmp_path / 'result.h5')
    if cut:
        trimmed_shape = trimmed(parameters, cut).product.object_.get_array().shape
        assert product.object_.get_array().shape != trimmed_shape
    else:
        assert product.object_.get_geometry() == given.object_.get_geometry()
    assert np.abs(offset_px(known, given, product)).max() < 0.1


def trimmed(parameters: ReconstructInput, cut: int) -> ReconstructInput:
    """Return the input with an object that has lost its first rows and columns."""
    given = parameters.product.object_
    pixel, centre = given.get_pixel_geometry(), given.get_center()
    moved = ObjectCenter(
        x_m=centre.x_m + cut / 2 * pixel.width_m, y_m=centre.y_m + cut / 2 * pixel.height_m
    )
    product = dataclasses.replace(
        parameters.product, object_=Object(given.get_array()[:, cut:, cut:], pixel, moved)
    )
    return dataclasses.replace(parameters, product=product)
