"""Turning positions: what stays, what moves, what undoes it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptychopinn_plugin.config import OrientationConfig
from ptychopinn_plugin.scan import ScanData, ScanMetadata, orient
from ptychopinn_plugin.scan.axis_orientation import orient_positions
from tests.helpers import expected_counts, make_known_scan, make_scan

FLAGS = st.fixed_dictionaries(
    {'flip_x': st.booleans(), 'flip_y': st.booleans(), 'transpose': st.booleans()}
)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=16, side=3)


def test_nothing_asked_nothing_changed(scan: ScanData) -> None:
    assert orient(scan, OrientationConfig()) is scan


@given(flags=FLAGS)
def test_the_bounding_box_stays(flags: dict[str, bool]) -> None:
    positions = np.array([[1.5, 20.0], [7.25, 33.0], [3.0, 21.0]])
    oriented = orient_positions(positions, OrientationConfig(**flags))
    swap = slice(None, None, -1) if flags['transpose'] else slice(None)
    np.testing.assert_allclose(oriented.min(axis=0), positions.min(axis=0)[swap])
    np.testing.assert_allclose(oriented.max(axis=0), positions.max(axis=0)[swap])


@given(flags=FLAGS)
def test_the_inverse_undoes_it(flags: dict[str, bool]) -> None:
    positions = np.array([[1.5, 20.0], [7.25, 33.0], [3.0, 21.0]])
    oriented = orient_positions(positions, OrientationConfig(**flags))
    if flags['transpose']:
        flips = OrientationConfig(flip_x=flags['flip_x'], flip_y=flags['flip_y'])
        undone = orient_positions(oriented, flips)
        undone = orient_positions(undone, OrientationConfig(transpose=True))
    else:
        undone = orient_positions(oriented, OrientationConfig(**flags))
    np.testing.assert_allclose(undone, positions, atol=1e-12)


def test_the_transpose_comes_first() -> None:
    positions = np.array([[0.0, 10.0], [1.0, 12.0], [5.0, 11.0]])
    oriented = orient_positions(positions, OrientationConfig(flip_x=True, transpose=True))
    np.testing.assert_array_equal(oriented, [[10.0, 5.0], [12.0, 4.0], [11.0, 0.0]])


def test_flip_x_turns_columns_and_flip_y_rows(scan: ScanData) -> None:
    flipped = orient(scan, OrientationConfig(flip_x=True)).positions_px
    np.testing.assert_array_equal(flipped[:, 0], scan.positions_px[:, 0])
    assert np.argmin(flipped[:, 1]) == np.argmax(scan.positions_px[:, 1])
    flipped = orient(scan, OrientationConfig(flip_y=True)).positions_px
    np.testing.assert_array_equal(flipped[:, 1], scan.positions_px[:, 1])
    assert np.argmin(flipped[:, 0]) == np.argmax(scan.positions_px[:, 0])


def test_the_right_turn_recovers_a_scan_with_a_reversed_axis() -> None:
    known = make_known_scan(frame_size=16, side=3, noise=False)
    positions = known.scan.positions_px
    wrong = positions * [1, -1] + [0, positions[:, 1].min() + positions[:, 1].max()]
    mended = orient(
        dataclasses.replace(known.scan, positions_px=wrong), OrientationConfig(flip_x=True)
    )
    predicted = expected_counts(known.ground_truth, mended.probe, mended.positions_px)
    np.testing.assert_allclose(mended.counts, predicted, rtol=1e-3, atol=1e-2)


def test_a_guess_keeps_its_canvas_and_loses_its_content(scan: ScanData) -> None:
    assert scan.object_guess is not None
    filled = dataclasses.replace(
        scan,
        object_guess=scan.object_guess * np.complex64(0.5),
        metadata=ScanMetadata(pixel_size_m=(2e-9, 2e-9), object_center_m=(3e-6, 4e-6)),
    )
    oriented = orient(filled, OrientationConfig(transpose=True))
    assert oriented.object_guess is not None
    assert oriented.object_guess.shape == scan.object_guess.shape[::-1]
    assert np.all(oriented.object_guess == 1)
    assert oriented.metadata.object_center_m == (4e-6, 3e-6)
    assert 'only its canvas was kept' in oriented.decisions[-1]
    assert 'transpose' in oriented.decisions[-1]
    assert 'canvas' not in orient(scan, OrientationConfig(flip_y=True)).decisions[-1]


def test_a_transpose_swaps_metres_and_leaves_the_pixels_to_the_detector(scan: ScanData) -> None:
    pixel_size = np.array([1.1e-8, 1.3e-8])
    known = dataclasses.replace(scan, metadata=ScanMetadata(pixel_size_m=tuple(pixel_size)))
    oriented = orient(known, OrientationConfig(transpose=True, flip_y=True))
    assert oriented.metadata.pixel_size_m == tuple(pixel_size)
    metres = orient_positions(
        scan.positions_px * pixel_size, OrientationConfig(flip_y=True, transpose=True)
    )
    np.testing.assert_allclose(oriented.positions_px * pixel_size, metres)
    assert scan.object_guess is not None
    assert oriented.object_guess is not None
    covered = np.array(scan.object_guess.shape)[::-1] * pixel_size[::-1]
    assert np.all(oriented.object_guess.shape * pixel_size >= covered * (1 - 1e-9))
    assert np.all(oriented.object_guess.shape * pixel_size < covered + pixel_size)
