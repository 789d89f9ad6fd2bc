"""Ptychodus' own files: files are read back as written, pairing is reported."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ptychodus.api import io as ptychodus_io
from ptychodus.api.assemble import AssembledDiffractionData
from ptychodus.api.object import Object
from ptychodus.api.probe import ProbeSequence
from ptychodus.api.probe_positions import ProbePositionSequence
from ptychodus.api.product import Product
from ptychodus.api.reconstruct import ReconstructInput, prepare_reconstruct_input

from ptychopinn_plugin.errors import OutputError, ScanDataError
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.io.ptychodus.read_scan import (
    load_ptychodus,
    load_ptychodus_folder,
    scan_from_input,
)
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.scan import ScanData, ScanMetadata
from ptychopinn_plugin.scan.frame_source import frames_in_file
from tests.helpers import make_scan

marks_its_exports = pytest.mark.skipif(
    'multimodal_probe' in inspect.signature(ptychodus_io.save_ptychopinn_training_data).parameters,
    reason='Ptychodus 1.6 writes no bad_pixels into its exports, so nothing marks them',
)
INSTRUMENT = ScanMetadata(
    pixel_size_m=(1.1e-8, 1.3e-8),
    photon_energy_ev=8800.0,
    detector_distance_m=1.9,
    object_center_m=(3.2e-6, -7.1e-6),
    scan_index=np.arange(25) + 3,
)


@pytest.fixture(scope='module', params=[32, 31])
def scan(request: pytest.FixtureRequest) -> ScanData:
    """A scan with all there is: modes, mask, instrument; once with an odd frame side."""
    made = make_scan(frame_size=request.param, modes=2, bad_pixels=4)
    return dataclasses.replace(made, metadata=INSTRUMENT)


@pytest.fixture
def folder(tmp_path: Path, scan: ScanData) -> Path:
    save_ptychodus_pair(tmp_path / 'pair', scan)
    return tmp_path / 'pair'


def pair(folder: Path) -> tuple[AssembledDiffractionData, Product]:
    return (
        ptychodus_io.load_diffraction_data(folder / 'diffraction.h5'),
        ptychodus_io.load_product(folder / 'product.h5'),
    )


def replace_product(folder: Path, **changes: Any) -> None:
    product = ptychodus_io.load_product(folder / 'product.h5')
    ptychodus_io.save_product(folder / 'product.h5', dataclasses.replace(product, **changes))


def faults_of(folder: Path) -> str:
    with pytest.raises(ScanDataError) as caught:
        load_ptychodus_folder(folder)
    return '\n'.join(caught.value.faults)


def test_a_scan_comes_back_as_it_went(folder: Path, scan: ScanData) -> None:
    read = load_ptychodus_folder(folder)
    np.testing.assert_array_equal(read.counts, scan.counts)
    np.testing.assert_allclose(read.positions_px, scan.positions_px, atol=1e-9)
    np.testing.assert_array_equal(read.probe, scan.probe)
    np.testing.assert_array_equal(read.mask, scan.mask)
    assert read.object_guess is not None
    assert scan.object_guess is not None
    assert read.object_guess.shape == scan.object_guess.shape
    assert read.metadata.pixel_size_m == INSTRUMENT.pixel_size_m
    assert read.metadata.photon_energy_ev == INSTRUMENT.photon_energy_ev
    assert read.metadata.detector_distance_m == INSTRUMENT.detector_distance_m
    assert read.metadata.object_center_m == INSTRUMENT.object_center_m
    assert read.metadata.scan_index is not None
    np.testing.assert_array_equal(read.metadata.scan_index, np.arange(25) + 3)
    assert read.decisions == ()


def test_ptychodus_lays_the_patches_where_we_do(folder: Path, scan: ScanData) -> None:
    """The host's own rule: first pixel and sub-pixel rest of each patch."""
    product = pair(folder)[1]
    geometry, probe = product.object_.get_geometry(), product.probes.get_geometry()
    for point, position in zip(product.probe_positions, scan.positions_px, strict=True):
        place = geometry.map_coordinates_probe_to_object(point)
        bounds = probe.resolve_patch_bounds(place.x_px, place.y_px)
        host_y = bounds.y_slice.start + bounds.dy + scan.frame_size // 2
        host_x = bounds.x_slice.start + bounds.dx + scan.frame_size // 2
        np.testing.assert_allclose((host_y, host_x), position, atol=1e-6)


def test_whole_counts_are_stored_as_integers(folder: Path, scan: ScanData) -> None:
    assert pair(folder)[0].get_patterns().dtype == np.uint16
    bright = dataclasses.replace(scan, counts=scan.counts * np.float32(100))
    save_ptychodus_pair(folder, bright)
    assert pair(folder)[0].get_patterns().dtype == np.uint32
    np.testing.assert_array_equal(load_ptychodus_folder(folder).counts, bright.counts)
    parts = dataclasses.replace(scan, counts=scan.counts * np.float32(0.3))
    save_ptychodus_pair(folder, parts)
    assert pair(folder)[0].get_patterns().dtype == np.float32


def test_detector_pixels_belong_to_the_object_pixels(folder: Path, scan: ScanData) -> None:
    data, product = pair(folder)
    detector = data.get_pixel_geometry()
    wavelength = 1.2398419843320026e-6 / 8800.0
    for detector_m, object_m in ((detector.height_m, 1.1e-8), (detector.width_m, 1.3e-8)):
        found = wavelength * product.metadata.detector_distance_m / (scan.frame_size * detector_m)
        assert found == pytest.approx(object_m, rel=1e-6)


def test_a_guess_smaller_than_the_scan_is_framed(tmp_path: Path) -> None:
    made = make_scan(frame_size=16, side=3)
    scan = dataclasses.replace(
        made,
        positions_px=made.positions_px - 10,
        object_guess=np.full((20, 21), 0.5, np.complex64),
    )
    save_ptychodus_pair(tmp_path, scan)
    read = load_ptychodus_folder(tmp_path)
    shift = read.positions_px - scan.positions_px
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-9)
    assert read.object_guess is not None
    top, left = np.rint(shift[0]).astype(int)
    assert np.all(read.object_guess[top : top + 20, left : left + 21] == 0.5)
    assert np.count_nonzero(read.object_guess != 1) == 20 * 21


@marks_its_exports
def test_the_export_for_ptychopinn_loads_as_the_same_scan(
    folder: Path, tmp_path: Path, scan: ScanData
) -> None:
    path = tmp_path / 'train_data.npz'
    inputs = prepare_reconstruct_input(*pair(folder))
    ptychodus_io.save_ptychopinn_training_data(path, inputs)
    read = load_npz(path)
    good = ~scan.mask
    np.testing.assert_array_equal(read.mask, scan.mask)
    np.testing.assert_array_equal(read.counts[:, good], scan.counts[:, good])
    np.testing.assert_allclose(read.positions_px, scan.positions_px, atol=1e-9)
    np.testing.assert_array_equal(read.probe, scan.probe)
    assert any('holds counts' in d for d in read.decisions)
    assert any('half a pixel' in d for d in read.decisions)


@marks_its_exports
def test_an_export_of_fractional_counts_is_known_by_its_signature(
    folder: Path, tmp_path: Path, scan: ScanData
) -> None:
    inputs = prepare_reconstruct_input(*pair(folder))
    patterns = inputs.diffraction_patterns * np.float32(0.3)
    path = tmp_path / 'train_data.npz'
    ptychodus_io.save_ptychopinn_training_data(
        path, ReconstructInput(patterns, inputs.bad_pixels, inputs.product)
    )
    read = load_npz(path)
    good = ~scan.mask
    np.testing.assert_allclose(read.counts[:, good], 0.3 * scan.counts[:, good], rtol=1e-5)
    assert any('marks an export of Ptychodus' in d for d in read.decisions)


def test_counts_under_bad_pixels_are_left_out(folder: Path, scan: ScanData) -> None:
    data, _ = pair(folder)
    patterns = data.get_patterns().copy()
    patterns[:, scan.mask] = 60_000
    saturated = AssembledDiffractionData(
        data.get_indexes(), patterns, data.get_pixel_geometry(), data.get_bad_pixels()
    )
    ptychodus_io.save_diffraction_data(folder / 'diffraction.h5', saturated)
    np.testing.assert_array_equal(load_ptychodus_folder(folder).counts, scan.counts)


def test_pairing_is_reported(folder: Path) -> None:
    data, product = pair(folder)
    points = list(product.probe_positions)
    doubled = dataclasses.replace(points[10], x_m=points[10].x_m + 2e-8)
    kept = [*points[2:5], *points[6:], doubled]
    replace_product(folder, probe_positions=ProbePositionSequence(kept))
    read = load_ptychodus_folder(folder)
    assert read.frame_count == 23
    assert read.decisions == (
        '2 frames have no position within the scan and were dropped',
        '1 positions share their scan index with another and were averaged',
        '1 frames have no position of their own; theirs was interpolated',
    )
    whole = np.asarray(data.get_patterns())
    np.testing.assert_array_equal(read.counts, np.where(read.mask, 0, whole[2:]))
    np.testing.assert_allclose(
        read.positions_px[3], (read.positions_px[2] + read.positions_px[4]) / 2
    )


def test_positions_without_frames_are_left_out(folder: Path) -> None:
    data, _ = pair(folder)
    fewer = AssembledDiffractionData(
        data.get_indexes()[4:],
        data.get_patterns()[4:],
        data.get_pixel_geometry(),
        data.get_bad_pixels(),
    )
    ptychodus_io.save_diffraction_data(folder / 'diffraction.h5', fewer)
    read = load_ptychodus_folder(folder)
    assert read.decisions == ('4 positions have no frame and were left out',)


def test_the_main_probe_of_a_relaxed_one(folder: Path, scan: ScanData) -> None:
    product = pair(folder)[1]
    several = np.stack([scan.probe, 0.1 * scan.probe])
    weights = np.stack([np.ones(25), np.arange(25.0)], axis=1)
    pixels = product.probes.get_pixel_geometry()
    replace_product(folder, probes=ProbeSequence(several, weights, pixels))
    read = load_ptychodus_folder(folder)
    np.testing.assert_array_equal(read.probe, scan.probe)
    assert '1 mode of orthogonal relaxation' in read.decisions[0]
    np.testing.assert_array_equal(read.estimates.opr_modes, several[1:, 0])
    np.testing.assert_array_equal(read.estimates.opr_weights, weights[:, 1:])


def test_an_unscaled_probe_of_the_host_gets_photons(folder: Path, scan: ScanData) -> None:
    pixels = pair(folder)[1].probes.get_pixel_geometry()
    unscaled = (scan.probe * 1e-3).astype(np.complex128)
    replace_product(folder, probes=ProbeSequence(unscaled, None, pixels))
    read = load_ptychodus_folder(folder)
    assert 0.5 < np.sum(np.abs(read.probe) ** 2) / np.sum(np.abs(scan.probe) ** 2) < 1.1


def test_several_layers_are_refused(folder: Path) -> None:
    flat = pair(folder)[1].object_
    layered = Object(
        np.concatenate([flat.get_array()] * 2),
        flat.get_pixel_geometry(),
        flat.get_center(),
        [1e-6],
    )
    replace_product(folder, object_=layered)
    assert 'has 2 layers; one layer is needed' in faults_of(folder)


def test_frames_that_are_not_square_are_refused(folder: Path) -> None:
    data, product = pair(folder)
    inputs = ReconstructInput(
        data.get_patterns()[:, :, 4:-4], data.get_bad_pixels()[:, 4:-4], product
    )
    with pytest.raises(ScanDataError, match='frames must be square'):
        scan_from_input(inputs)


def test_missing_and_broken_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / 'product.h5').write_bytes(b'no HDF5')
    faults = faults_of(tmp_path)
    assert f'there is no diffraction file {tmp_path / "diffraction.h5"}' in faults
    assert f'{tmp_path / "product.h5"} cannot be read as a product of Ptychodus' in faults
    with h5py.File(tmp_path / 'diffraction.h5', 'w') as file:
        file['patterns'] = 3
    assert 'cannot be read as a diffraction file' in faults_of(tmp_path)


def test_indexes_that_do_not_meet(folder: Path) -> None:
    product = pair(folder)[1]
    far = [dataclasses.replace(p, index=p.index + 1000) for p in product.probe_positions]
    replace_product(folder, probe_positions=ProbePositionSequence(far))
    assert 'frames and positions do not pair' in faults_of(folder)


def test_pixels_without_size_are_refused(folder: Path) -> None:
    with h5py.File(folder / 'product.h5', 'r+') as file:
        file['object'].attrs['pixel_width_m'] = 0.0
    assert 'object pixels of the product must have a size' in faults_of(folder)


def test_a_probe_from_elsewhere(folder: Path, scan: ScanData) -> None:
    files = folder / 'diffraction.h5', folder / 'product.h5'
    read = load_ptychodus(*files, probe=scan.probe[:1] * np.float32(1.1))
    assert read.mode_count == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path, scan: ScanData) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError, match='cannot be made'):
        save_ptychodus_pair(tmp_path / 'file' / 'pair', scan)


@pytest.mark.parametrize(
    'layout', [None, {}, {'chunks': (4, 8, 8), 'compression': 'gzip'}], ids=['lzf', 'plain', 'gzip']
)
def test_frames_that_stay_in_the_file(
    folder: Path, scan: ScanData, layout: dict[str, Any] | None
) -> None:
    path = folder / 'diffraction.h5'
    with h5py.File(path, 'r+') as file:
        stored, attributes = file['patterns'][()], dict(file['patterns'].attrs)
        stored[3] = 0
        # The last frames have no position.
        file['indexes'][...] = np.arange(len(stored)) + 5
        if layout is None:
            file['patterns'][...] = stored
        else:
            del file['patterns']
            file.create_dataset('patterns', data=stored, **layout).attrs.update(attributes)
    inside, outside = (
        load_ptychodus_folder(folder, frames_in_memory=choice) for choice in ('yes', 'no')
    )
    stack = frames_in_file(outside.counts)
    assert stack is not None
    assert stack.source.dtype == stored.dtype
    assert len(inside.counts) == len(stored) - 3
    np.testing.assert_array_equal(np.asarray(outside.counts), inside.counts)
    for name in ('positions_px', 'probe', 'mask'):
        np.testing.assert_array_equal(getattr(outside, name), getattr(inside, name))
    (said,) = set(outside.decisions) - set(inside.decisions)
    assert ('stay in the file' if layout == {} else 'a temporary file') in said


def test_frames_of_another_size_than_their_bad_pixels(folder: Path) -> None:
    with h5py.File(folder / 'diffraction.h5', 'r+') as file:
        del file['bad_pixels']
        file['bad_pixels'] = np.zeros((3, 3), np.bool_)
    with pytest.raises(ScanDataError, match=r'bad pixels \(3, 3\)'):
        load_ptychodus_folder(folder, frames_in_memory='no')
