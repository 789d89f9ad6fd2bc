"""A reconstruction as a product: in its place, whole, and with what made it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from ptychodus.api import io as ptychodus_io
from ptychodus.api.product import Product

from ptychopinn_plugin import __version__
from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.io.ptychodus.history_comment import history_line, read_history
from ptychopinn_plugin.io.ptychodus.read_product import load_product_reconstruction
from ptychopinn_plugin.io.ptychodus.read_scan import load_ptychodus_folder
from ptychopinn_plugin.io.ptychodus.write_product import save_product
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.scan import (
    PassHistory,
    Reconstruction,
    ScanData,
    ScanMetadata,
    orient,
)
from tests.helpers import make_scan

CENTER_M = (3.2e-6, -7.1e-6)
PIXEL_M = (1.1e-8, 1.3e-8)


def reconstruction(
    scan: ScanData, origin: tuple[int, int] = (0, 0), grow: tuple[int, int] = (0, 0)
) -> Reconstruction:
    assert scan.object_guess is not None
    height, width = np.add(scan.object_guess.shape, grow)
    rng = np.random.default_rng(5)
    canvas = rng.normal(size=(height, width, 2)).astype(np.float32).view(np.complex64)[..., 0]
    canvas[:3] = np.nan
    return Reconstruction(
        object_canvas=canvas,
        origin_px=origin,
        probe=scan.probe,
        positions_px=scan.positions_px,
        coverage=np.ones((height, width), np.float32),
        residual=np.array([0.5, 0.2, 0.1]),
        stages=('solver',) * 3,
        backend='pytorch',
        seconds=1.25,
        pixel_size_m=scan.metadata.pixel_size_m,
    )


def host_pixels(product: Product) -> np.ndarray:
    """Return positions (row, column) as Ptychodus maps them to object pixels."""
    geometry = product.object_.get_geometry()
    points = [geometry.map_coordinates_probe_to_object(p) for p in product.probe_positions]
    return np.array([(p.y_px, p.x_px) for p in points])


@pytest.fixture(params=[16, 15])
def scan(request: pytest.FixtureRequest) -> ScanData:
    return make_scan(frame_size=request.param, side=4, step_px=3.0)


def saved(path: Path, result: Reconstruction, scan: ScanData, comments: str = '') -> Product:
    save_product(path, result, scan, comments=comments)
    return ptychodus_io.load_product(path)


@pytest.mark.parametrize('known', [False, True])
@pytest.mark.parametrize(('origin', 'grow'), [((0, 0), (0, 0)), ((-7, -2), (9, 5))])
def test_positions_fall_on_the_right_pixels(
    tmp_path: Path,
    scan: ScanData,
    known: bool,
    origin: tuple[int, int],
    grow: tuple[int, int],
) -> None:
    if known:
        metadata = ScanMetadata(pixel_size_m=PIXEL_M, object_center_m=CENTER_M)
        scan = dataclasses.replace(scan, metadata=metadata)
    product = saved(tmp_path / 'p.h5', reconstruction(scan, origin, grow), scan)
    half = 0.5 if scan.frame_size % 2 == 0 else 0.0
    np.testing.assert_allclose(host_pixels(product), scan.positions_px - half - origin, atol=1e-6)


@pytest.mark.parametrize(('origin', 'grow'), [((0, 0), (0, 0)), ((-7, -2), (9, 5))])
def test_world_coordinates_of_a_pair_are_kept(
    tmp_path: Path, scan: ScanData, origin: tuple[int, int], grow: tuple[int, int]
) -> None:
    metadata = ScanMetadata(pixel_size_m=PIXEL_M, object_center_m=CENTER_M)
    save_ptychodus_pair(tmp_path, dataclasses.replace(scan, metadata=metadata))
    before = ptychodus_io.load_product(tmp_path / 'product.h5')
    read = load_ptychodus_folder(tmp_path)
    after = saved(tmp_path / 'p.h5', reconstruction(read, origin, grow), read)
    for old, new in zip(before.probe_positions, after.probe_positions, strict=True):
        assert new.index == old.index
        np.testing.assert_allclose((new.y_m, new.x_m), (old.y_m, old.x_m), rtol=1e-9)
    assert after.object_.get_pixel_geometry() == before.object_.get_pixel_geometry()
    moved = np.add(origin, np.divide(grow, 2)) * PIXEL_M
    center = after.object_.get_center()
    np.testing.assert_allclose((center.y_m, center.x_m), np.add(CENTER_M, moved), rtol=1e-12)
    if grow == (0, 0):
        assert (center.y_m, center.x_m) == CENTER_M


@pytest.mark.parametrize('transpose', [False, True])
def test_oriented_scans_are_registered_too(tmp_path: Path, scan: ScanData, transpose: bool) -> None:
    metadata = ScanMetadata(pixel_size_m=PIXEL_M, object_center_m=CENTER_M)
    orientation = OrientationConfig(flip_x=True, transpose=transpose)
    oriented = orient(dataclasses.replace(scan, metadata=metadata), orientation)
    product = saved(tmp_path / 'p.h5', reconstruction(oriented), oriented)
    half = 0.5 if scan.frame_size % 2 == 0 else 0.0
    np.testing.assert_allclose(host_pixels(product), oriented.positions_px - half, atol=1e-6)


def test_contents(tmp_path: Path, scan: ScanData) -> None:
    result = reconstruction(scan)
    product = saved(tmp_path / 'p.h5', result, scan, 'hello')
    image = product.object_.get_layer(0)
    assert np.all(image[:3] == 1)
    np.testing.assert_array_equal(image[3:], result.object_canvas[3:])
    np.testing.assert_array_equal(product.probes.get_array()[0], scan.probe)
    power = np.sum(np.abs(scan.probe.astype(complex)) ** 2)
    assert product.metadata.probe_photon_count == pytest.approx(power, rel=1e-4)
    assert [(loss.epoch, loss.value) for loss in product.losses] == [(1, 0.5), (2, 0.2), (3, 0.1)]
    comments = product.metadata.comments
    assert comments.startswith('hello\n')
    assert f'ptychopinn-plugin {__version__}, backend pytorch, no model' in comments
    assert ', 3 iterations in ' in comments
    assert 'pixel size unknown: 1 nm is nominal' in comments
    assert product.metadata.name == 'made for a test'


def test_the_losses_are_those_of_the_reconstruction(tmp_path: Path, scan: ScanData) -> None:
    result = dataclasses.replace(
        reconstruction(scan),
        model_name='abc',
        losses=(9.0, 8.0, 7.0, 6.0, 5.0),  # of the training
        residual=np.array([3.0, np.nan, 0.0, 1.0]),
        stages=('solver',) * 4,
    )
    product = saved(tmp_path / 'p.h5', result, scan)
    # Ptychodus draws them on a log axis, where only positive numbers show.
    assert [(loss.epoch, loss.value) for loss in product.losses] == [(1, 3.0), (4, 1.0)]
    assert 'model abc' in product.metadata.comments


def test_a_failed_writing_leaves_the_old_product(
    tmp_path: Path, scan: ScanData, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'p.h5'
    path.write_text('old')

    def half(file: IO[bytes], product: Product) -> None:
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(ptychodus_io, 'save_product', half)
    with pytest.raises(OutputError, match='No space left'):
        save_product(path, reconstruction(scan), scan)
    assert path.read_text() == 'old'
    assert [p.name for p in tmp_path.iterdir()] == ['p.h5']


def test_no_folder_to_write_into(tmp_path: Path, scan: ScanData) -> None:
    with pytest.raises(OutputError, match='cannot be written'):
        save_product(tmp_path / 'none' / 'p.h5', reconstruction(scan), scan)


def test_positions_and_pixel_size_are_those_of_the_reconstruction(
    tmp_path: Path, scan: ScanData
) -> None:
    metadata = ScanMetadata(pixel_size_m=PIXEL_M, object_center_m=CENTER_M)
    scan = dataclasses.replace(scan, metadata=metadata)
    refined = dataclasses.replace(
        reconstruction(scan),
        positions_px=scan.positions_px + np.array([0.25, -0.5]),
        pixel_size_m=(2e-8, 3e-8),
    )
    product = saved(tmp_path / 'p.h5', refined, scan)
    half = 0.5 if scan.frame_size % 2 == 0 else 0.0
    np.testing.assert_allclose(host_pixels(product), refined.positions_px - half, atol=1e-6)
    pixel = product.object_.get_pixel_geometry()
    assert (pixel.height_m, pixel.width_m) == (2e-8, 3e-8)


@pytest.mark.parametrize('is_so', [False, True])
def test_passes_are_read_back_to_continue_from(tmp_path: Path, scan: ScanData, is_so: bool) -> None:
    history = PassHistory(
        24,
        2,
        automatic=is_so,
        updates_probe=is_so,
        moves_frames=not is_so,
        position_errors_px=0.0 if is_so else 0.25,
        finds_background=is_so,
    )
    result = dataclasses.replace(reconstruction(scan), history=history)
    product = saved(tmp_path / 'p.h5', result, scan, 'to continue from: 3 iterations, 8 subsets')
    assert history_line(history) in product.metadata.comments
    assert read_history(product) == history
    assert load_product_reconstruction(tmp_path / 'p.h5').history == history
    save_ptychodus_pair(tmp_path, scan)
    saved(tmp_path / 'product.h5', result, scan)
    assert load_ptychodus_folder(tmp_path).metadata.history == history


def test_products_of_other_programs_count_their_losses(tmp_path: Path, scan: ScanData) -> None:
    product = saved(tmp_path / 'p.h5', reconstruction(scan), scan)
    assert read_history(product) == PassHistory(3)
