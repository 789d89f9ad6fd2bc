"""A scan whose stage axes lie otherwise than its detector's, oriented by the settings.

The law: what comes back explains the frames. Ptychodus' own geometry puts the positions of the
product on its object, and the patches there give the measured frames.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ptychodus.api.io import load_diffraction_data, load_product, save_product
from ptychodus.api.object import Object, ObjectCenter
from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
from ptychodus.api.product import Product
from ptychodus.api.reconstruct import ReconstructInput, prepare_reconstruct_input
from scipy.ndimage import map_coordinates
from skimage.registration import phase_cross_correlation

from ptychopinn_plugin.config import InferenceConfig, OrientationConfig
from ptychopinn_plugin.hosts.engine_cache import in_process_engine
from ptychopinn_plugin.hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from ptychopinn_plugin.hosts.ptychodus.training_data import load_training_data
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.io.ptychodus.read_scan import scan_from_input
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.scan import ScanMetadata
from ptychopinn_plugin.scan.axis_orientation import orient_positions
from tests.helpers import KnownScan, expected_counts, make_known_scan
from tests.ptychodus.fake_engines import SlowEngine

WAYS = [OrientationConfig(**dict(zip(('transpose', 'flip_x', 'flip_y'), ways, strict=True)))
        for ways in itertools.product((False, True), repeat=3)]  # fmt: skip
PIXEL_SIZE = (1.1e-8, 1.3e-8)


@pytest.fixture(scope='module')
def known() -> KnownScan:
    made = make_known_scan(frame_size=32, side=6, step_px=4.0, photons=1e6)
    metadata = ScanMetadata(PIXEL_SIZE, 8800.0, 1.9, (3.2e-6, -7.1e-6))
    return KnownScan(dataclasses.replace(made.scan, metadata=metadata), made.ground_truth)


@pytest.fixture(scope='module')
def stored(known: KnownScan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('oriented')
    save_ptychodus_pair(folder, known.scan)
    return folder


def spoilt(product: Product, way: OrientationConfig) -> Product:
    """Return the product as a stage writes it whose axes have to be oriented by `way`.

    Its object of ones lies around its positions, as Ptychodus makes it.
    """
    metres = np.array([(p.y_m, p.x_m) for p in product.probe_positions])
    flips = OrientationConfig(flip_x=way.flip_x, flip_y=way.flip_y)
    oriented = orient_positions(metres, flips)
    oriented = orient_positions(oriented, OrientationConfig(transpose=way.transpose))
    positions = [
        ProbePosition(p.index, float(x), float(y))
        for p, (y, x) in zip(product.probe_positions, oriented, strict=True)
    ]
    object_ = product.object_
    if way.transpose:
        centre, (_, rows, columns) = object_.get_center(), object_.get_array().shape
        shape = (1, columns + 12, rows + 12)
        object_ = Object(
            np.ones(shape, np.complex64),
            object_.get_pixel_geometry(),
            ObjectCenter(x_m=centre.y_m, y_m=centre.x_m),
        )
    return dataclasses.replace(
        product, probe_positions=ProbePositionSequence(positions), object_=object_
    )


def given(stored: Path, way: OrientationConfig) -> ReconstructInput:
    product = spoilt(load_product(stored / 'product.h5'), way)
    return prepare_reconstruct_input(load_diffraction_data(stored / 'diffraction.h5'), product)


def predicted(product: Product, size: int) -> npt.NDArray[np.float64]:
    """Return what the frames of a product should be, by Ptychodus' geometry and plain NumPy."""
    geometry = product.object_.get_geometry()
    points = [geometry.map_coordinates_probe_to_object(p) for p in product.probe_positions]
    middles = np.array([(p.y_px, p.x_px) for p in points])
    canvas = np.pad(product.object_.get_layer(0), 2, constant_values=1)
    probe = product.probes.get_probe_no_opr().get_array()
    return expected_counts(canvas, probe, middles - (size - 1) / 2 + size // 2 + 2)


def misfit(product: Product, known: KnownScan) -> float:
    scan = known.scan
    amplitude = np.sqrt(predicted(product, scan.frame_size))
    return float(np.sum((amplitude - np.sqrt(scan.counts)) ** 2) / scan.counts.sum())


def offset_px(product: Product, known: KnownScan) -> npt.NDArray[np.float64]:
    """Return (row, column) by which the object lies off the truth, seen from the positions."""
    geometry = product.object_.get_geometry()
    (first, *_) = product.probe_positions
    point = geometry.map_coordinates_probe_to_object(first)
    size = known.scan.frame_size
    here = np.array((point.y_px, point.x_px)) - (size - 1) / 2 + size // 2
    low = np.ceil(known.scan.positions_px.min(axis=0)).astype(int)
    high = np.floor(known.scan.positions_px.max(axis=0)).astype(int)
    pixels = np.mgrid[low[0] : high[0], low[1] : high[1]]
    places = pixels + (here - known.scan.positions_px[0])[:, None, None]
    array = product.object_.get_layer(0)
    real, imaginary = (map_coordinates(part, places, order=3) for part in (array.real, array.imag))
    found = real + 1j * imaginary
    truth = known.ground_truth[low[0] : high[0], low[1] : high[1]]
    found *= np.exp(-1j * np.angle(np.vdot(truth, found)))
    flat = [each - each.mean() for each in (truth, found)]
    shift = phase_cross_correlation(*flat, upsample_factor=100, normalization=None)[0]
    return np.asarray(shift, np.float64)


@pytest.mark.pytorch
@pytest.mark.integration
@pytest.mark.parametrize('way', WAYS, ids=str)
def test_what_comes_back_explains_the_frames(
    way: OrientationConfig, stored: Path, known: KnownScan, tmp_path: Path
) -> None:
    parameters = given(stored, way)
    made = PtychoPINNTrainableReconstructor(
        backend='pytorch',
        engine_factory=in_process_engine,
        inference=InferenceConfig(refine_iterations=40),
        orientation=way,
    )
    *_, last = made.reconstruct(parameters)
    save_product(tmp_path / 'result.h5', last.product)
    product = load_product(tmp_path / 'result.h5')
    oriented = any(way.model_dump().values())
    assert misfit(product, known) < 2e-3
    assert np.abs(offset_px(product, known)).max() < 0.1
    assert ('positions were turned as asked for' in product.metadata.comments) == oriented
    indexes = [p.index for p in product.probe_positions]
    assert indexes == [p.index for p in parameters.product.probe_positions]
    geometry = product.object_.get_geometry()
    assert (geometry.pixel_height_m, geometry.pixel_width_m) == pytest.approx(PIXEL_SIZE)


def test_a_reoriented_product_is_not_reoriented_again(
    engine_type: type[SlowEngine], stored: Path, known: KnownScan
) -> None:
    way = OrientationConfig(transpose=True, flip_x=True)
    made = PtychoPINNTrainableReconstructor(
        backend='pytorch',
        engine_factory=engine_type,
        inference=InferenceConfig(refine_iterations=1),
        orientation=way,
    )
    parameters = given(stored, way)
    *_, first = made.reconstruct(parameters)
    *_, second = made.reconstruct(dataclasses.replace(parameters, product=first.product))
    scans = [call['scan'] for call in engine_type.made[0].calls]
    spacing = [np.diff(scan.positions_px, axis=0) for scan in scans]
    np.testing.assert_allclose(spacing[0], np.diff(known.scan.positions_px, axis=0), atol=1e-6)
    np.testing.assert_allclose(spacing[1], spacing[0], atol=1e-6)
    assert any('not oriented again' in decision for decision in scans[1].decisions)
    assert second.product.metadata.comments.count('were turned as asked for') == 1
    assert second.product.probe_positions is first.product.probe_positions


def test_training_data_are_reoriented_once(
    engine_type: type[SlowEngine], stored: Path, known: KnownScan, tmp_path: Path
) -> None:
    way = OrientationConfig(transpose=True, flip_y=True)
    parameters = given(stored, way)
    made = PtychoPINNTrainableReconstructor(
        backend='pytorch', engine_factory=engine_type, orientation=way
    )
    made.export_training_data(tmp_path / 'train_data.npz', parameters)
    folder = tmp_path / 'hdf5'
    folder.mkdir()
    (folder / 'diffraction.h5').write_bytes((stored / 'diffraction.h5').read_bytes())
    save_product(folder / 'product.h5', parameters.product)
    for path in (tmp_path, folder):
        (scan,) = load_training_data(path, way).scans
        np.testing.assert_allclose(
            np.diff(scan.positions_px, axis=0),
            np.diff(known.scan.positions_px, axis=0),
            atol=1e-6,
        )
    read = load_npz(tmp_path / 'train_data.npz')
    np.testing.assert_array_equal(
        read.positions_px, scan_from_input(parameters, orientation=way).positions_px
    )
