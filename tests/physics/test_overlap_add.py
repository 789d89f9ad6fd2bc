"""Stitching is the weighted mean that it says it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptychopinn_plugin.errors import PatchError
from ptychopinn_plugin.physics.overlap_add import Stitched, Stitcher, stitch
from ptychopinn_plugin.scan import Canvas
from tests.helpers import make_object, make_positions, make_probe, make_scan

Complex = npt.NDArray[np.complex64]
Positions = npt.NDArray[np.float64]

WIDE = Canvas((-100, -100), (250, 250))
WIDE_OBJECT = make_object(WIDE.shape)


def cut(obj: Complex, positions_px: Positions, size: int, origin_px: tuple[int, int]) -> Complex:
    """Cut patches one by one; pixel N//2 lies on the rounded position."""
    patches = []
    for y, x in positions_px:
        top = round(float(y)) - size // 2 - origin_px[0]
        left = round(float(x)) - size // 2 - origin_px[1]
        patches.append(obj[top : top + size, left : left + size])
    return np.stack(patches)


def dose_of(probe: Complex, positions_px: Positions, canvas: Canvas) -> npt.NDArray[np.float64]:
    """Add the light of every frame pixel by pixel of the canvas, in plain NumPy."""
    size = probe.shape[-1]
    light = np.sum(np.abs(probe.astype(np.complex128)) ** 2, axis=0)
    rows = np.arange(canvas.shape[0])[:, None] + canvas.origin_px[0]
    columns = np.arange(canvas.shape[1])[None, :] + canvas.origin_px[1]
    dose = np.zeros(canvas.shape)
    for y, x in positions_px:
        i, j = rows - round(float(y)) + size // 2, columns - round(float(x)) + size // 2
        inside = (i >= 0) & (i < size) & (j >= 0) & (j < size)
        dose += np.where(inside, light[np.clip(i, 0, size - 1), np.clip(j, 0, size - 1)], 0)
    return dose


def assert_same(found: Stitched, wanted: Stitched) -> None:
    np.testing.assert_array_equal(found.object_canvas, wanted.object_canvas)
    np.testing.assert_array_equal(found.coverage, wanted.coverage)


@pytest.mark.parametrize('size', [16, 17])
@pytest.mark.parametrize('modes', [1, 3])
def test_cut_then_stitched_is_the_object_where_light_fell(size: int, modes: int) -> None:
    scan = make_scan(frame_size=size, side=4, modes=modes, with_guess=False)
    canvas = Canvas.for_scan(scan)
    truth = make_object(canvas.shape)
    patches = cut(truth, scan.positions_px, size, canvas.origin_px)
    found = stitch(patches, scan.positions_px, scan.probe, canvas)
    assert found.object_canvas.shape == found.coverage.shape == canvas.shape
    assert found.object_canvas.dtype == np.complex64
    assert found.coverage.dtype == np.float32
    dose = dose_of(scan.probe, scan.positions_px, canvas)
    covered = dose > 1e-4 * dose.max()
    np.testing.assert_array_equal(np.isfinite(found.object_canvas), covered)
    assert 0.2 < covered.mean() < 1
    np.testing.assert_allclose(found.object_canvas[covered], truth[covered], atol=2e-7)
    np.testing.assert_allclose(found.coverage, dose / dose.max(), atol=1e-7)


def test_a_position_far_from_zero_lands_on_the_canvas() -> None:
    probe, canvas = make_probe(16), Canvas((5000, -3000), (40, 50))
    truth = make_object(canvas.shape)
    positions_px = make_positions(3, 6, 16) + canvas.origin_px
    found = stitch(cut(truth, positions_px, 16, canvas.origin_px), positions_px, probe, canvas)
    covered = np.isfinite(found.object_canvas)
    assert covered.any()
    np.testing.assert_allclose(found.object_canvas[covered], truth[covered], atol=2e-7)


def test_two_patches_that_differ_are_averaged_by_their_light() -> None:
    probe = np.array([[[3, 1], [2j, 0]], [[0, 1j], [0, 0]]], np.complex64)
    patches = np.stack([np.full((2, 2), 1 + 1j), np.full((2, 2), 5 - 1j)]).astype(np.complex64)
    found = stitch(patches, np.array([[1.0, 1], [1, 2]]), probe, Canvas((0, 0), (2, 4)))
    # |P|^2 is [[9, 2], [4, 0]]; the second patch lies one pixel to the right.
    between = (2 * (1 + 1j) + 9 * (5 - 1j)) / 11
    np.testing.assert_allclose(
        found.object_canvas,
        [[1 + 1j, between, 5 - 1j, np.nan], [1 + 1j, 5 - 1j, np.nan, np.nan]],
        rtol=1e-6,
    )
    np.testing.assert_allclose(found.coverage * 11, [[9, 11, 2, 0], [4, 4, 0, 0]], rtol=1e-6)


def test_pixels_with_hardly_any_light_are_not_told() -> None:
    probe = np.array([[[1, 0.011], [0.009, 0]]], np.complex64)
    patch = np.full((1, 2, 2), 2 - 1j, np.complex64)
    found = stitch(patch, np.ones((1, 2)), probe, Canvas((0, 0), (2, 2)))
    np.testing.assert_array_equal(np.isnan(found.object_canvas), [[False, False], [True, True]])
    assert found.coverage[1, 0] == pytest.approx(8.1e-5)


@settings(max_examples=30)
@given(st.floats(-10, 10), st.floats(0.01, 100))
def test_a_global_phase_and_the_scale_of_the_probe_commute(phase: float, scale: float) -> None:
    rng = np.random.default_rng(3)
    probe, canvas = make_probe(16, modes=2), Canvas((0, 0), (40, 44))
    positions_px = make_positions(3, 6, 16)
    patches = (rng.normal(size=(9, 16, 16)) + 1j * rng.normal(size=(9, 16, 16))).astype(
        np.complex64
    )
    turn = np.complex64(np.exp(1j * phase))
    plain = stitch(patches, positions_px, probe, canvas)
    turned = stitch(patches * turn, positions_px, np.complex64(scale) * probe, canvas)
    np.testing.assert_allclose(turned.object_canvas, plain.object_canvas * turn, atol=2e-6)


def test_phases_are_averaged_across_the_wrap() -> None:
    angles = np.array([np.pi - 0.1, -np.pi + 0.1])
    patches = np.exp(1j * angles)[:, None, None].astype(np.complex64) * np.ones((1, 8, 8))
    probe = np.ones((1, 8, 8), np.complex64)
    found = stitch(
        patches.astype(np.complex64), np.full((2, 2), 4.0), probe, Canvas((0, 0), (8, 8))
    )
    np.testing.assert_allclose(found.object_canvas, -np.cos(0.1), atol=1e-6)


def test_patches_may_come_in_any_portions_and_order() -> None:
    rng = np.random.default_rng(0)
    probe, canvas = make_probe(16, modes=2), Canvas((0, 0), (40, 44))
    positions_px = make_positions(3, 6, 16)
    patches = (rng.normal(size=(9, 16, 16)) + 1j * rng.normal(size=(9, 16, 16))).astype(
        np.complex64
    )
    whole = stitch(patches, positions_px, probe, canvas)
    stitcher = Stitcher(probe, canvas)
    stitcher.add(patches[:4], positions_px[:4])
    assert_same(stitcher.result(), stitch(patches[:4], positions_px[:4], probe, canvas))
    stitcher.add(patches[:0], positions_px[:0])
    stitcher.add(patches[4:], positions_px[4:])
    assert_same(stitcher.result(), whole)
    backwards = stitch(patches[::-1], positions_px[::-1], probe, canvas)
    np.testing.assert_allclose(backwards.object_canvas, whole.object_canvas, rtol=1e-6)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-60, 80), st.floats(-60, 80)), min_size=1, max_size=6),
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
)
def test_what_leaves_the_canvas_is_left_out(
    centres: list[tuple[float, float]], origin_px: tuple[int, int]
) -> None:
    probe, canvas = make_probe(16), Canvas(origin_px, (23, 31))
    positions_px = np.array(centres)
    patches = cut(WIDE_OBJECT, positions_px, 16, WIDE.origin_px)
    found = stitch(patches, positions_px, probe, canvas)
    dose = dose_of(probe, positions_px, canvas)
    np.testing.assert_allclose(found.coverage, dose / (dose.max() or 1), atol=1e-7)
    top, left = origin_px[0] + 100, origin_px[1] + 100
    inside = WIDE_OBJECT[top : top + 23, left : left + 31]
    covered = np.isfinite(found.object_canvas)
    np.testing.assert_allclose(found.object_canvas[covered], inside[covered], atol=2e-7)
    assert np.all(covered[found.coverage > 1.1e-4])


def test_ten_thousand_overlaps_do_not_round_the_object_away() -> None:
    rng = np.random.default_rng(0)
    patch = (rng.normal(size=(1, 8, 8)) + 1j * rng.normal(size=(1, 8, 8))).astype(np.complex64)
    probe, canvas = make_probe(8), Canvas((0, 0), (8, 8))
    found = stitch(np.repeat(patch, 10_000, axis=0), np.full((10_000, 2), 4.0), probe, canvas)
    covered = np.isfinite(found.object_canvas)
    assert covered.any()
    error = np.abs(found.object_canvas - patch[0])[covered] / np.abs(patch[0])[covered]
    assert error.max() < 1e-6


def test_nothing_added_covers_nothing() -> None:
    found = Stitcher(make_probe(8), Canvas((0, 0), (9, 11))).result()
    assert np.isnan(found.object_canvas).all()
    assert not found.coverage.any()


@pytest.mark.parametrize('shape', [(3, 8, 8), (2, 8, 9), (2, 1, 1)])
def test_patches_that_do_not_belong_are_refused(shape: tuple[int, ...]) -> None:
    stitcher = Stitcher(make_probe(8), Canvas((0, 0), (9, 11)))
    with pytest.raises(PatchError, match=r'2 positions and a probe of 8 x 8 pixels need patches'):
        stitcher.add(np.ones(shape, np.complex64), np.full((2, 2), 4.0))
    assert not stitcher.result().coverage.any()
