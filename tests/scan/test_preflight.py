"""A preflight sees what is wrong with a scan and keeps quiet about a good one."""

from __future__ import annotations

import dataclasses
import json
import logging

import numpy as np
import pytest

from ptychopinn_plugin.physics.overlap_add import illumination_coverage
from ptychopinn_plugin.scan import Canvas, ScanData
from ptychopinn_plugin.scan.preflight import preflight
from ptychopinn_plugin.scan.preflight_log import log_preflight
from ptychopinn_plugin.scan.preflight_report import PreflightReport
from ptychopinn_plugin.scan.statistics import (
    empty_object_frame,
    filled_share,
    neighbour_step_px,
    probe_diameter_px,
)
from tests.helpers import expected_counts, make_scan


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=32, side=5, step_px=4.0, bad_pixels=3)


def with_counts(scan: ScanData, counts: np.ndarray) -> ScanData:
    return dataclasses.replace(scan, counts=counts.astype(np.float32))


def advice(scan: ScanData) -> str:
    return '\n'.join(preflight(scan).recommendations)


def test_a_good_scan(scan: ScanData) -> None:
    report = preflight(scan)
    assert report.recommendations == ()
    assert report.zero_frequency == 'center'
    assert report.frames == 25
    assert report.photons_per_frame.mean == pytest.approx(scan.counts.sum() / 25)
    assert report.photons_per_frame.minimum < report.photons_per_frame.median
    assert report.masked_fraction == pytest.approx(3 / 1024)
    assert report.probe_photons == pytest.approx(np.sum(np.abs(scan.probe) ** 2), rel=1e-5)
    assert report.probe_correlation > 0.9
    assert 0.3 < report.photon_ratio < 1.05
    assert report.frames_megabytes == pytest.approx(25 * 32 * 32 * 4 / 2**20)


def test_the_report_is_json(scan: ScanData) -> None:
    report = preflight(scan, ['flip x fits better'])
    assert json.loads(report.model_dump_json())['orientation_hints'] == ['flip x fits better']
    assert PreflightReport.model_validate_json(report.model_dump_json()) == report


def test_zero_frequency_in_the_corner(scan: ScanData) -> None:
    corner = dataclasses.replace(
        scan,
        counts=np.fft.ifftshift(scan.counts, axes=(1, 2)),
        mask=np.fft.ifftshift(scan.mask),
    )
    assert preflight(corner).zero_frequency == 'corner'
    assert "load_scan(dc='corner')" in advice(corner)


@pytest.mark.parametrize(
    ('axes', 'place'),
    [((), 'center'), ((1, 2), 'corner'), ((1,), 'top edge'), ((2,), 'left edge')],
)
def test_zero_frequency_of_a_wide_ring(scan: ScanData, axes: tuple[int, ...], place: str) -> None:
    """The pupil of a zone plate: its dark middle is as wide as its dark corners."""
    size = scan.frame_size
    radius = np.hypot(*(np.indices((size, size)) - size // 2)) / size
    ring = np.where((radius > 0.24) & (radius < 0.45), 100.0, 3.0)
    frames = np.random.default_rng(0).poisson(ring, scan.counts.shape)
    shifted = dataclasses.replace(
        with_counts(scan, np.fft.ifftshift(frames, axes=axes)),
        mask=np.zeros((size, size), np.bool_),
    )
    assert preflight(shifted).zero_frequency == place


@pytest.mark.parametrize('offset', [(4, -3), (0, 5)])
def test_a_beam_off_the_middle_is_named(offset: tuple[int, int]) -> None:
    scan = make_scan(frame_size=32, side=5, step_px=4.0)
    assert preflight(scan).beam_offset_px == (0, 0)
    shifted = with_counts(scan, np.roll(scan.counts, offset, axis=(1, 2)))
    found = preflight(shifted).beam_offset_px
    assert np.abs(np.subtract(found, offset)).max() <= 1
    assert f'{found[0]:+d} rows and {found[1]:+d} columns' in advice(shifted)
    # A probe with that ramp has its light there too.
    ramp = np.exp(2j * np.pi * (np.indices((32, 32)).T @ np.array(offset)).T / 32)
    ramped = dataclasses.replace(shifted, probe=(scan.probe * ramp).astype(np.complex64))
    assert preflight(ramped).beam_offset_px == (0, 0)


def test_the_overlap_of_an_unknown_probe_is_not_judged() -> None:
    scan = make_scan(frame_size=32, side=5, step_px=9.0)
    narrow = scan.probe * (np.hypot(*(np.indices((32, 32)) - 16)) < 2)
    known = dataclasses.replace(scan, probe=narrow.astype(np.complex64))
    metadata = dataclasses.replace(scan.metadata, probe_is_unknown=True)
    assert 'neighbouring probes overlap' in advice(known)
    assert 'neighbouring probes overlap' not in advice(
        dataclasses.replace(known, metadata=metadata)
    )


def test_a_mask_over_nearly_all_light_is_named_and_the_probe_not_blamed(scan: ScanData) -> None:
    size = scan.frame_size
    mask = np.hypot(*(np.indices((size, size)) - size // 2)) < size / 4
    hidden = dataclasses.replace(scan, mask=mask)
    report = preflight(hidden)
    assert report.masked_light > 0.9
    assert report.probe_correlation < 0.5
    found = advice(hidden)
    assert f'the mask hides {report.masked_light:.1%} of the light' in found
    assert 'explains the mean frame badly' not in found


@pytest.mark.parametrize(('axis', 'place'), [(1, 'top edge'), (2, 'left edge')])
def test_frames_that_were_shifted_along_one_axis_only(
    scan: ScanData, axis: int, place: str
) -> None:
    shifted = with_counts(scan, np.fft.ifftshift(scan.counts, axes=axis))
    assert preflight(shifted).zero_frequency == place
    found = advice(shifted)
    assert f'half a frame along axis {axis} of the stack' in found
    assert 'explains the mean frame badly' not in found
    # A mask says nothing of where the light is.
    middle = np.abs(np.arange(scan.frame_size) - scan.frame_size // 2) < scan.frame_size // 6
    hidden = dataclasses.replace(scan, mask=np.logical_and.outer(middle, middle))
    assert preflight(hidden).zero_frequency == 'unclear'


def test_frames_that_repeat_an_earlier_one_are_named(scan: ScanData) -> None:
    assert preflight(scan).repeated_frames == ()
    counts = scan.counts.copy()
    counts[[4, 5, 9]] = counts[3]
    stalled = with_counts(scan, counts)
    assert preflight(stalled).repeated_frames == (4, 5, 9)
    assert '3 frames of other positions with the values of an earlier frame' in advice(stalled)
    # Faint frames may be alike by chance, and those of one position without noise are.
    assert preflight(with_counts(scan, counts * 0 + 1e-3)).repeated_frames == ()
    positions = scan.positions_px.copy()
    positions[[4, 5, 9]] = positions[3]
    assert preflight(dataclasses.replace(stalled, positions_px=positions)).repeated_frames == ()


def test_normalised_and_dim_frames(scan: ScanData) -> None:
    assert 'load_scan(photons=...)' in advice(with_counts(scan, scan.counts * 1e-5))
    assert 'are few' in advice(with_counts(scan, scan.counts * 1e-3))


def test_empty_frames_and_hot_and_saturated_pixels(scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[[2, 3]] = 0
    assert '2 frames hold no photon' in advice(with_counts(scan, counts))
    counts = scan.counts.copy()
    counts[:, 3, 29] = 50_000
    report = preflight(with_counts(scan, counts))
    assert report.hot_pixels == ((3, 29),)
    assert '(3, 29)' in report.recommendations[0]
    counts = np.minimum(scan.counts, 500)
    assert 'hold the highest count, 500' in advice(with_counts(scan, counts))


def test_the_direct_beam_is_not_hot(scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[:, 16, 16] = 50_000
    assert preflight(with_counts(scan, counts)).hot_pixels == ()


def test_values_under_the_mask_count_for_nothing(scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[:, scan.mask] = np.nan
    assert preflight(with_counts(scan, counts)) == preflight(scan)


def test_overlap(scan: ScanData) -> None:
    sparse = make_scan(frame_size=32, side=3, step_px=18.0)
    report = preflight(sparse)
    assert report.overlap == pytest.approx(1 - report.neighbour_step_px / report.probe_diameter_px)
    assert 'overlap by' in advice(sparse)


def test_positions_in_metres(scan: ScanData) -> None:
    metres = dataclasses.replace(scan, positions_px=scan.positions_px * 1e-8)
    assert 'not in metres' in advice(metres)


def test_duplicates_and_positions_outside(scan: ScanData) -> None:
    positions = scan.positions_px.copy()
    positions[7] = positions[8]
    assert preflight(dataclasses.replace(scan, positions_px=positions)).duplicate_positions == 1
    outside = dataclasses.replace(scan, positions_px=scan.positions_px - 30)
    report = preflight(outside)
    assert min(report.canvas_origin_px) < 0
    assert 'outside the object canvas' in advice(outside)


def test_a_probe_that_has_nothing_to_do_with_the_frames(scan: ScanData) -> None:
    y, x = np.indices((32, 32)) - 16
    stripe = np.exp(-(((y - 9) / 0.7) ** 2) - (x / 0.7) ** 2 + 2j * x)[np.newaxis]
    other = dataclasses.replace(scan, probe=stripe.astype(np.complex64))
    assert 'update_probe = on' in advice(other)
    wide = dataclasses.replace(scan, probe=np.ones_like(scan.probe))
    assert 'may wrap around' in advice(wide)


def test_the_probe_alone_is_the_frame_of_empty_space(scan: ScanData) -> None:
    empty = np.ones((64, 64), np.complex64)
    (frame,) = expected_counts(empty, scan.probe, np.array([[30.0, 31.0]]))
    np.testing.assert_allclose(empty_object_frame(scan.probe), frame, rtol=1e-6, atol=1e-6)


def test_diameter_of_a_disk_and_step_of_a_raster() -> None:
    y, x = np.indices((64, 64)) - 30
    disk = (np.hypot(y, x) <= 12).astype(np.complex64)[np.newaxis]
    assert probe_diameter_px(disk, 1.0) == pytest.approx(25, abs=1)
    assert probe_diameter_px(disk, 0.25) == pytest.approx(12.5, abs=1.5)
    grid = np.stack(np.meshgrid(np.arange(4) * 3.0, np.arange(5) * 7.0), -1).reshape(-1, 2)
    assert neighbour_step_px(np.concatenate([grid, grid])) == 3.0


def test_frames_normalised_by_ptychopinn(scan: ScanData) -> None:
    scaled = scan.counts * np.float32(16**2 / scan.counts.sum(axis=(1, 2)).mean())
    assert 'PtychoPINN has normalised' in advice(with_counts(scan, scaled))
    # As many real photons are few and no more.
    whole = np.floor(scaled)
    whole[0, 16, 16] += 16**2 * 25 - whole.sum()
    assert 'normalised' not in advice(with_counts(scan, whole))


def test_frames_unlike_their_neighbours_are_named(scan: ScanData) -> None:
    counts = scan.counts.copy()
    counts[7] *= 10
    found = preflight(with_counts(scan, counts))
    assert found.unlike_frames == (7,)
    assert 'brighter or darker than those around them: 7;' in '\n'.join(found.warnings)
    numbers = dataclasses.replace(scan.metadata, scan_index=np.arange(25) + 50)
    named = dataclasses.replace(with_counts(scan, counts), metadata=numbers)
    assert preflight(named).unlike_frames == (57,)


def test_a_lone_position_is_named_and_the_canvas_is_told(
    scan: ScanData, caplog: pytest.LogCaptureFixture
) -> None:
    assert preflight(scan).filled_share > 0.7
    positions = scan.positions_px.copy()
    positions[9] += 3000
    far = dataclasses.replace(scan, positions_px=positions)
    report = preflight(far)
    assert report.far_frames == (9,)
    assert report.covered_share < 0.001
    with caplog.at_level('INFO'):
        log_preflight(far, logging.getLogger('test'))
    told, *warned = caplog.records
    assert 'object canvas of 30' in told.getMessage()
    assert told.levelname == 'INFO'
    assert {record.levelname for record in warned} == {'WARNING'}
    assert any('lie far from all others: 9;' in record.getMessage() for record in warned)
    assert any('look for wrong positions' in record.getMessage() for record in warned)
    caplog.clear()
    log_preflight(scan, logging.getLogger('test'))
    assert not caplog.records


def test_the_covered_share_of_a_canvas(scan: ScanData) -> None:
    # Disks on a square raster of twice their diameter cover pi / 16 of it.
    grid = np.stack(np.meshgrid(np.arange(40) * 8.0, np.arange(40) * 8.0), -1).reshape(-1, 2)
    assert filled_share(grid, 4.0) == pytest.approx(np.pi / 16, abs=0.02)
    report = preflight(scan)
    light = illumination_coverage(scan.positions_px, scan.probe, Canvas.for_scan(scan))
    assert report.covered_share == pytest.approx(float((light > 0.05).mean()), abs=0.1)
