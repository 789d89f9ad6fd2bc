"""Groups hold what they promise, whatever the scan looks like."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptychopinn_plugin.errors import PatchError
from ptychopinn_plugin.networks.cnn import frame_groups as grouping
from ptychopinn_plugin.networks.cnn.frame_groups import (
    DISTANCE_TOLERANCE_PX,
    draw_groups,
    nearest,
    sampled_frames,
)

Positions = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def raster(side: int, step_px: float = 4.3) -> Positions:
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing='ij'), axis=-1)
    return np.asarray(grid.reshape(-1, 2) * step_px + 32, dtype=np.float64)


def brute_nearest(positions_px: Positions, count: int) -> Index:
    """Look at every pair, in plain Python."""
    found = []
    for frame, (row, column) in enumerate(positions_px):
        others = []
        for other, (y, x) in enumerate(positions_px):
            steps = round(math.sqrt((y - row) ** 2 + (x - column) ** 2) / DISTANCE_TOLERANCE_PX)
            others.append((steps, other))
        del others[frame]
        found.append([other for _, other in sorted(others)[:count]])
    return np.array(found, dtype=np.int64).reshape(len(positions_px), count)


def first_by_key(generator: random.Random, count: int, wanted: int) -> list[int]:
    """Draw a key for each and return those with the least keys."""
    keys = [generator.random() for _ in range(count)]
    return sorted(range(count), key=keys.__getitem__)[:wanted]


@st.composite
def scans(draw: st.DrawFn, least: int = 1) -> Positions:
    """Scatter, rasters and scans that stand still: few distinct values make ties and repeats."""
    count = draw(st.integers(least, 40))
    values = draw(
        st.sampled_from(
            [st.floats(-300, 300), st.integers(0, 4).map(lambda i: 2.7 * i), st.just(3)]
        )
    )
    pairs = draw(st.lists(st.tuples(values, values), min_size=count, max_size=count))
    return np.array(pairs, dtype=np.float64)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Positions, dict[str, Any]]:
    """Scans with arguments that can be met."""
    gridsize = draw(st.integers(1, 3))
    size = gridsize**2
    positions_px = draw(scans(least=size))
    n_subsample = draw(st.one_of(st.just(0), st.integers(size, len(positions_px) + 3)))
    return positions_px, {
        'gridsize': gridsize,
        'neighbor_count': draw(st.integers(max(size - 1, 1), size + 4)),
        'n_groups': draw(st.one_of(st.just(0), st.integers(1, 150))),
        'n_subsample': n_subsample,
        'subsample_seed': draw(st.integers(0, 2**31 - 1)),
        'sequential_sampling': draw(st.booleans()),
    }


def sample_of(positions_px: Positions, options: dict[str, Any]) -> Index:
    return sampled_frames(
        len(positions_px),
        n_subsample=options['n_subsample'],
        subsample_seed=options['subsample_seed'],
        sequential=options['sequential_sampling'],
    )


@given(requests())
def test_groups_hold_the_own_frame_and_its_neighbours_in_the_sample(
    request_: tuple[Positions, dict[str, Any]],
) -> None:
    positions_px, options = request_
    sample = sample_of(positions_px, options)
    groups = draw_groups(positions_px, **options)
    assert groups.dtype == np.int64
    assert groups.shape == (options['n_groups'] or len(sample), options['gridsize'] ** 2)
    count = min(options['neighbor_count'], len(sample) - 1)
    near = sample[brute_nearest(positions_px[sample], count)]
    for own, *members in groups.tolist():
        allowed = near[np.searchsorted(sample, own)].tolist()
        assert own in sample
        assert members == [frame for frame in allowed if frame in members]
        assert len({own, *members}) == options['gridsize'] ** 2


@given(requests())
def test_every_frame_is_used_alike_and_combinations_run_out_before_they_repeat(
    request_: tuple[Positions, dict[str, Any]],
) -> None:
    positions_px, options = request_
    sample = sample_of(positions_px, options)
    groups = draw_groups(positions_px, **options)
    uses = Counter(groups[:, 0].tolist())
    least = len(groups) // len(sample)
    assert set(uses) <= set(sample.tolist())
    assert all(uses[frame] in (least, least + 1) for frame in sample.tolist())
    combinations = math.comb(
        min(options['neighbor_count'], len(sample) - 1), options['gridsize'] ** 2 - 1
    )
    kinds: dict[int, Counter[tuple[int, ...]]] = {}
    for own, *members in groups.tolist():
        kinds.setdefault(own, Counter())[tuple(sorted(members))] += 1
    for own, kind in kinds.items():
        assert len(kind) == min(uses[own], combinations)
        assert max(kind.values()) == -(-uses[own] // combinations)


@given(requests())
def test_the_same_seed_gives_the_same_groups(
    request_: tuple[Positions, dict[str, Any]],
) -> None:
    positions_px, options = request_
    np.random.seed(1)  # noqa: NPY002  (the global stream must not matter)
    groups = draw_groups(positions_px, **options)
    np.testing.assert_array_equal(groups, draw_groups(positions_px, **options))


def test_rounding_errors_of_positions_do_not_choose() -> None:
    positions_px = raster(9)
    noise = np.random.default_rng(0).uniform(-1e-9, 1e-9, positions_px.shape)
    options: dict[str, Any] = {'gridsize': 2, 'neighbor_count': 6, 'n_groups': 100}
    np.testing.assert_array_equal(
        draw_groups(positions_px, **options), draw_groups(positions_px + noise, **options)
    )


@pytest.mark.parametrize('seed', [0, 7, 2**31 - 1])
def test_groups_are_those_of_plain_python_on_every_machine(seed: int) -> None:
    # Python's generator is the same Mersenne twister, seeded by the same words.
    positions_px = raster(6)
    frames, groups = random.Random((1 << 32) + seed), random.Random((2 << 32) + seed)
    sample = sorted(first_by_key(frames, 36, 20))
    own = sorted(first_by_key(groups, 20, 9))
    members = [sorted(first_by_key(groups, 7, 3)) for _ in sample]
    near = brute_nearest(positions_px[sample], 7)
    expected = [[sample[i], *(sample[near[i, k]] for k in members[i])] for i in own]
    found = draw_groups(
        positions_px,
        gridsize=2,
        neighbor_count=7,
        n_groups=9,
        n_subsample=20,
        subsample_seed=seed,
    )
    assert found.tolist() == expected


def test_another_seed_gives_other_groups_and_another_sample() -> None:
    drawn = [
        draw_groups(raster(9), gridsize=2, neighbor_count=7, n_groups=0, subsample_seed=seed)
        for seed in (0, 1)
    ]
    assert np.array_equal(drawn[0][:, 0], drawn[1][:, 0])
    assert np.mean(drawn[0] != drawn[1]) > 0.4
    samples = [
        sampled_frames(1000, n_subsample=100, subsample_seed=seed, sequential=False)
        for seed in (0, 1)
    ]
    assert len(set(samples[0].tolist()) & set(samples[1].tolist())) < 30


@settings(max_examples=60)
@given(scans(least=2), st.data())
def test_nearest_is_what_looking_at_every_pair_finds(
    positions_px: Positions, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(positions_px) - 1))
    np.testing.assert_array_equal(nearest(positions_px, count), brute_nearest(positions_px, count))


def test_many_neighbours_are_found_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearest(raster(7), 11)
    monkeypatch.setattr(grouping, 'PAIRS_AT_ONCE', 50)
    np.testing.assert_array_equal(nearest(raster(7), 11), whole)


@pytest.mark.parametrize('count', [3, 5, 8])
def test_ties_of_a_raster_go_to_the_first_frames(count: int) -> None:
    # Its rounding errors are not equal steps; many frames beyond the candidates are as near.
    circle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    ring = np.stack([np.sin(circle), np.cos(circle)], axis=1) * 30 + 40
    for positions_px in (raster(9), np.concatenate([ring, [[40, 40]]])):
        found = nearest(positions_px, count)
        np.testing.assert_array_equal(found, brute_nearest(positions_px, count))
    np.testing.assert_array_equal(found[-1], np.arange(count))


@given(st.integers(1, 60), st.integers(0, 70), st.integers(0, 2**31 - 1), st.booleans())
def test_a_sample_is_ascending_without_repetition(
    frame_count: int, n_subsample: int, seed: int, sequential: bool
) -> None:
    sample = sampled_frames(
        frame_count, n_subsample=n_subsample, subsample_seed=seed, sequential=sequential
    )
    wanted = min(n_subsample, frame_count) or frame_count
    assert sample.dtype == np.int64
    assert len(sample) == wanted
    assert np.all(np.diff(sample) > 0)
    assert sample[0] >= 0
    assert sample[-1] < frame_count
    if sequential or wanted == frame_count:
        np.testing.assert_array_equal(sample, np.arange(wanted))


def test_samples_are_spread_evenly() -> None:
    uses = np.zeros(20)
    for seed in range(2000):
        uses[sampled_frames(20, n_subsample=5, subsample_seed=seed, sequential=False)] += 1
    assert np.all(np.abs(uses - 500) < 5 * np.sqrt(500))


@pytest.mark.parametrize('n_groups', [81, 81 * 8])
def test_members_are_drawn_evenly_from_all_neighbours(n_groups: int) -> None:
    # 81 groups take one combination of 35 a frame; 8 times as many must be distinguished.
    positions_px = raster(9)
    near = nearest(positions_px, 7)
    uses = np.zeros(7)
    for seed in range(30):
        groups = draw_groups(
            positions_px, gridsize=2, neighbor_count=7, n_groups=n_groups, subsample_seed=seed
        )
        uses += np.sum(near[groups[:, 0]][:, :, None] == groups[:, None, 1:], axis=(0, 2))
    expected = 30 * n_groups * 3 / 7
    assert np.all(np.abs(uses - expected) < 5 * np.sqrt(expected))


def test_sequential_takes_the_first_frames_in_order() -> None:
    groups = draw_groups(
        raster(6),
        gridsize=2,
        neighbor_count=5,
        n_groups=7,
        n_subsample=20,
        sequential_sampling=True,
    )
    np.testing.assert_array_equal(groups[:, 0], np.arange(7))
    assert groups.max() < 20


@pytest.mark.parametrize('sequential', [True, False])
def test_single_frames_repeat_only_when_all_are_used(sequential: bool) -> None:
    groups = draw_groups(
        raster(3),
        gridsize=1,
        neighbor_count=1,
        n_groups=20,
        sequential_sampling=sequential,
    )
    assert groups.shape == (20, 1)
    np.testing.assert_array_equal(groups[:18, 0], np.tile(np.arange(9), 2))
    assert len(set(groups[18:, 0].tolist())) == 2


def test_too_few_neighbours_are_refused() -> None:
    with pytest.raises(PatchError, match=r'gridsize 2\) need neighbor_count 3 or more, got 2'):
        draw_groups(raster(5), gridsize=2, neighbor_count=2, n_groups=0)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(PatchError, match=r'need 4 sampled frames or more, got 3; raise n_subs'):
        draw_groups(raster(5), gridsize=2, neighbor_count=5, n_groups=0, n_subsample=3)


@pytest.mark.parametrize('still', [False, True])
def test_ten_thousand_frames_take_well_under_a_second(still: bool) -> None:
    positions_px = np.full((10_000, 2), 7.5) if still else raster(100)
    began = time.process_time()
    groups = draw_groups(positions_px, gridsize=2, neighbor_count=7, n_groups=0)
    assert time.process_time() - began < 1
    np.testing.assert_array_equal(groups[:, 0], np.arange(10_000))
