"""Disjoint groups hold every frame once, close together, whatever the scan looks like."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptychopinn_plugin.errors import PatchError
from ptychopinn_plugin.networks.cnn.disjoint_groups import disjoint_groups
from ptychopinn_plugin.networks.cnn.frame_groups import Index, Positions, nearest
from tests.networks.test_frame_groups import raster, scans


def largest_extents(positions_px: Positions, groups: Index) -> float:
    return float(np.ptp(positions_px[groups], axis=1).max(axis=1).mean())


@given(scans(least=9), st.integers(1, 3))
def test_every_frame_is_in_one_group_and_the_rest_is_filled(
    positions_px: Positions, gridsize: int
) -> None:
    groups = disjoint_groups(positions_px, gridsize=gridsize)
    size, count = gridsize**2, len(positions_px)
    assert groups.dtype == np.int64
    assert groups.shape == (-(-count // size), size)
    assert all(len(set(one)) == size for one in groups.tolist())
    uses = np.bincount(groups.ravel(), minlength=count)
    assert uses.min() == 1
    assert uses.max() <= 2
    assert np.sum(uses == 2) == -count % size


def test_a_raster_is_divided_into_squares() -> None:
    positions_px = raster(8, step_px=5.0)
    groups = disjoint_groups(positions_px, gridsize=2)
    assert np.all(np.ptp(positions_px[groups], axis=1) == 5.0)


def test_frames_of_a_group_lie_about_as_close_as_nearest_ones() -> None:
    positions_px = np.random.default_rng(0).uniform(0, 200, (501, 2))
    groups = disjoint_groups(positions_px, gridsize=2)
    own = np.arange(501)[:, None]
    around = np.concatenate([own, nearest(positions_px, 3)], axis=1)
    assert largest_extents(positions_px, groups) < 1.5 * largest_extents(positions_px, around)


def test_left_over_frames_are_joined_by_their_nearest() -> None:
    positions_px = np.array([[0.0, x] for x in (0, 1, 2, 3, 10)])
    groups = {tuple(sorted(one)) for one in disjoint_groups(positions_px, gridsize=2).tolist()}
    assert groups == {(0, 1, 2, 3), (1, 2, 3, 4)}


def test_rounding_errors_of_positions_do_not_choose() -> None:
    positions_px = raster(9)
    noise = np.random.default_rng(0).uniform(-1e-9, 1e-9, positions_px.shape)
    np.testing.assert_array_equal(
        disjoint_groups(positions_px, gridsize=2), disjoint_groups(positions_px + noise, gridsize=2)
    )


def test_only_sampled_frames_are_used() -> None:
    first = disjoint_groups(raster(6), gridsize=2, n_subsample=10, sequential_sampling=True)
    assert sorted(set(first.ravel().tolist())) == list(range(10))
    drawn = disjoint_groups(raster(6), gridsize=2, n_subsample=8, subsample_seed=3)
    assert len(set(drawn.ravel().tolist())) == 8
    assert drawn.max() > 8


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(PatchError, match=r'need 9 sampled frames or more, got 4'):
        disjoint_groups(raster(2), gridsize=3)


@pytest.mark.parametrize('still', [False, True])
def test_ten_thousand_frames_take_well_under_a_second(still: bool) -> None:
    positions_px = np.full((10_000, 2), 7.5) if still else raster(100)
    began = time.process_time()
    assert disjoint_groups(positions_px, gridsize=2).shape == (2500, 4)
    assert time.process_time() - began < 1
