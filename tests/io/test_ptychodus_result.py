"""Ptychodus products as results, ours and those of other programs."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ptychodus.api import io as ptychodus_io

from ptychopinn_plugin.errors import ResultFileError
from ptychopinn_plugin.io.ptychodus.build_product import build_product
from ptychopinn_plugin.io.result_files import load_result, save_reconstruction
from ptychopinn_plugin.physics.overlap_add import illumination_coverage
from ptychopinn_plugin.plotting import picture
from ptychopinn_plugin.plotting.figure import heading
from ptychopinn_plugin.scan import Canvas, ScanMetadata
from tests.io.result_examples import known_reconstruction


def test_a_product_comes_back_as_the_result_it_was(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction(modes=2)
    scan = dataclasses.replace(scan, metadata=ScanMetadata(pixel_size_m=(2e-8, 2e-8)))
    reconstruction = dataclasses.replace(reconstruction, pixel_size_m=(2e-8, 2e-8))
    save_reconstruction(tmp_path / 'object.h5', reconstruction, scan)
    again = load_result(tmp_path / 'object.h5')
    np.testing.assert_allclose(again.positions_px, scan.positions_px, atol=1e-6)
    assert again.pixel_size_m == pytest.approx((2e-8, 2e-8))
    np.testing.assert_allclose(again.coverage, reconstruction.coverage, atol=1e-6)
    lit = reconstruction.coverage > 0
    np.testing.assert_array_equal(again.object_canvas[lit], reconstruction.object_canvas[lit])
    np.testing.assert_allclose(again.probe, reconstruction.probe)
    assert (again.backend, again.seconds) == ('pytorch', 1.5)


def test_a_nominal_pixel_size_is_not_shown_as_a_measured_one(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction()
    save_reconstruction(tmp_path / 'object.h5', reconstruction, scan)
    assert load_result(tmp_path / 'object.h5').pixel_size_m is None


def test_a_product_of_another_program_is_shown_without_a_backend(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction()
    product = build_product(
        scan,
        reconstruction.object_canvas,
        (0, 0),
        scan.probe,
        name='theirs',
        comments='made by hand',
    )
    ptychodus_io.save_product(tmp_path / 'theirs.h5', product)
    result = load_result(tmp_path / 'theirs.h5')
    assert str(result.backend) == ''
    assert heading(result).startswith(f'{result.coverage.shape[0]} x')
    picture(result, tmp_path / 'theirs.png')
    assert (tmp_path / 'theirs.png').exists()


def test_an_object_of_several_layers_is_refused(tmp_path: Path) -> None:
    scan, reconstruction = known_reconstruction()
    save_reconstruction(tmp_path / 'object.h5', reconstruction, scan)
    product = ptychodus_io.load_product(tmp_path / 'object.h5')
    layers = np.repeat(product.object_.get_array(), 2, axis=0)
    thick = dataclasses.replace(
        product,
        object_=type(product.object_)(
            layers,
            pixel_geometry=product.object_.get_pixel_geometry(),
            center=product.object_.get_center(),
            layer_spacing_m=[1e-6],
        ),
    )
    ptychodus_io.save_product(tmp_path / 'thick.h5', thick)
    with pytest.raises(ResultFileError, match='one layer'):
        load_result(tmp_path / 'thick.h5')


def test_a_file_that_is_no_product_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'object.h5').write_bytes(b'no HDF5 at all')
    with pytest.raises(ResultFileError, match='cannot be read as a product'):
        load_result(tmp_path / 'object.h5')


def test_coverage_is_the_light_on_each_pixel() -> None:
    probe = np.zeros((2, 4, 4), np.complex64)
    probe[0, 2, 2], probe[1, 2, 3] = 3, 4j
    positions = np.array([[5.2, 6.4], [5.0, 7.0], [100.0, 100.0]])
    coverage = illumination_coverage(positions, probe, Canvas((1, 2), (8, 9)))
    expected = np.zeros((8, 9))
    expected[4, 4:7] = 9 / 25, 1, 16 / 25
    np.testing.assert_allclose(coverage, expected, rtol=1e-6)
    assert coverage.dtype == np.float32


def test_light_beyond_the_canvas_is_left_out() -> None:
    probe = np.ones((1, 4, 4), np.complex64)
    coverage = illumination_coverage(np.array([[0.0, 0.0]]), probe, Canvas((0, 0), (5, 5)))
    expected = np.zeros((5, 5))
    expected[:2, :2] = 1
    np.testing.assert_array_equal(coverage, expected)
