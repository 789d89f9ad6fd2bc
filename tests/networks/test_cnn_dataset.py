"""The groups of a training and of its validation, and their batches."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptychopinn_plugin.config import InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import PatchError, ScanDataError
from ptychopinn_plugin.networks.cnn.batching import compact_batches, equal_batches
from ptychopinn_plugin.networks.cnn.dataset import GroupedScan, patch_shares
from ptychopinn_plugin.networks.cnn.frame_groups import Index
from ptychopinn_plugin.networks.cnn.predicted_counts import patch_weight
from ptychopinn_plugin.networks.cnn.split import DatasetSplit, inference_groups, training_groups
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.scan.photons import mean_photons
from tests.helpers import make_known_scan, make_probe, make_scan

SIZE = 16
PAIRS = ModelConfig(architecture='cnn', gridsize=2)
SINGLES = ModelConfig(architecture='cnn', gridsize=1)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=SIZE, side=6, bad_pixels=5)


def split(scan: ScanData, model: ModelConfig = PAIRS, **fields: object) -> DatasetSplit:
    training = TrainingConfig.model_validate({'batch_size': 8, **fields})
    return DatasetSplit.from_scans([scan], model, training, with_ground_truth=False)


def test_inputs_are_normalised_amplitudes_with_their_own_frame_first(scan: ScanData) -> None:
    groups = np.array([[7, 8, 13, 14], [3, 2, 8, 9]])
    batch = GroupedScan.from_scan(scan, PAIRS, [groups]).batch(groups)
    assert batch.inputs.shape == (2, 4, SIZE, SIZE)
    assert batch.inputs.dtype == np.float32
    good = np.where(scan.mask, 0, scan.counts)
    power = np.mean(np.sum(good, axis=(1, 2)))
    wanted = np.sqrt(good[groups]) * np.sqrt((SIZE / 2) ** 2 / power)
    assert np.allclose(batch.inputs, wanted, rtol=1e-5)
    assert np.allclose(
        np.fft.fftshift(batch.amplitudes, axes=(1, 2)), np.sqrt(good[groups.ravel()])
    )


def test_all_frames_have_a_mean_power_of_a_quarter_of_their_pixels(scan: ScanData) -> None:
    every = np.arange(scan.frame_count)[:, None]
    inputs = GroupedScan.from_scan(scan, SINGLES, [every]).batch(every).inputs
    assert np.mean(np.sum(inputs.astype(np.float64) ** 2, axis=(1, 2, 3))) == pytest.approx(
        (SIZE / 2) ** 2
    )


def test_brighter_frames_with_a_brighter_probe_look_the_same(scan: ScanData) -> None:
    bright = dataclasses.replace(scan, counts=4 * scan.counts, probe=2 * scan.probe)
    groups = np.array([[7, 8, 13, 14]])
    plain, other = (
        GroupedScan.from_scan(one, PAIRS, [groups]).batch(groups) for one in (scan, bright)
    )
    assert np.allclose(plain.inputs, other.inputs, rtol=1e-5)
    assert plain.shares is not None
    assert other.shares is not None
    assert np.allclose(plain.shares, other.shares, rtol=1e-5)
    assert mean_photons(bright) == pytest.approx(4 * mean_photons(scan))


def test_bad_pixels_may_hold_anything(scan: ScanData) -> None:
    spoilt = dataclasses.replace(scan, counts=np.where(scan.mask, np.nan, scan.counts))
    groups = np.array([[7, 8, 13, 14]])
    for one in (spoilt, scan):
        batch = GroupedScan.from_scan(one, PAIRS, [groups]).batch(groups)
        assert np.isfinite(batch.inputs).all()
        assert not batch.inputs[..., scan.mask].any()
    assert mean_photons(spoilt) == mean_photons(scan)


def test_patches_lie_on_their_regions_as_on_the_object(scan: ScanData) -> None:
    groups = np.array([[7, 8, 13, 14], [3, 2, 8, 9]])
    batch = GroupedScan.from_scan(scan, PAIRS, [groups]).batch(groups)
    assert batch.corners is not None
    height, width = batch.canvas_shape
    assert batch.corners.min() == 0
    assert (batch.corners <= [height - SIZE, width - SIZE]).all()
    nearest = np.rint(scan.positions_px[groups])
    offsets = batch.corners.reshape(2, 4, 2) - batch.corners.reshape(2, 4, 2)[:, :1]
    assert np.array_equal(offsets, nearest - nearest[:, :1])
    assert np.allclose(nearest.reshape(-1, 2) + batch.shifts_px, batch.positions_px)


def test_shares_of_a_pixel_add_up_to_one() -> None:
    corners = np.array([[0, 0], [3, 5], [2, 1], [24, 7]])
    weight = patch_weight(make_probe(SIZE, modes=2))
    shares = patch_shares(corners, weight, (40, 23))
    total = np.zeros((40, 23))
    for share, (row, column) in zip(shares, corners, strict=True):
        total[row : row + SIZE, column : column + SIZE] += share
    assert np.allclose(total[total > 0], 1, atol=1e-5)
    assert np.count_nonzero(total) > SIZE**2


@pytest.mark.parametrize('model', [SINGLES, PAIRS])
def test_a_batch_lies_on_one_region_of_the_object(scan: ScanData, model: ModelConfig) -> None:
    made = split(scan, model, n_groups=100)
    for batch in (*made.training_batches(0), *made.validation_batches()):
        assert batch.corners is not None
        assert batch.corners.min(axis=0).tolist() == [0, 0]
        assert (batch.corners.max(axis=0) + SIZE).tolist() == list(batch.canvas_shape)
        nearest = np.rint(batch.positions_px)
        assert np.array_equal(batch.corners - batch.corners[0], nearest - nearest[0])


def test_single_frames_that_are_not_merged_stand_alone(scan: ScanData) -> None:
    for model in (SINGLES, PAIRS):
        alone = model.model_copy(update={'object_big': False})
        assert next(iter(split(scan, alone).training_batches(0))).corners is None
    assert next(iter(split(scan, SINGLES, overlap='group').training_batches(0))).corners is None
    assert next(iter(split(scan, PAIRS, overlap='group').training_batches(0))).corners is not None


def test_every_group_fits_the_region(scan: ScanData) -> None:
    made = split(scan, n_groups=100, overlap='group')
    for batch in (*made.training_batches(0), *made.validation_batches()):
        assert batch.corners is not None
        assert batch.canvas_shape[0] == len(batch.inputs) * batch.canvas_shape[1]
        assert (batch.corners >= 0).all()
        assert (batch.corners + SIZE <= batch.canvas_shape).all()
        # Each group keeps to its own rows.
        side = batch.canvas_shape[1]
        rows = batch.corners.reshape(len(batch.inputs), -1, 2)[..., 0]
        first = side * np.arange(len(rows))[:, None]
        assert ((rows >= first) & (rows + SIZE <= first + side)).all()
        assert (rows.min(axis=1, keepdims=True) == first).all()


def test_validation_is_a_strip_that_training_does_not_use(scan: ScanData) -> None:
    trained, validated = training_groups(
        scan.positions_px, PAIRS, TrainingConfig(validation_fraction=0.3)
    )
    assert not np.intersect1d(trained, validated).size
    assert len(np.unique(validated)) == round(0.3 * 36)
    rows = scan.positions_px[:, 0]
    assert rows[validated].min() > rows[trained].max()
    more, _ = training_groups(scan.positions_px, PAIRS, TrainingConfig(validation_fraction=0.5))
    assert len(more) < len(trained)


def test_a_tiny_scan_is_used_for_training_and_validation(scan: ScanData) -> None:
    few = scan.subset(np.arange(6))
    trained, validated = training_groups(few.positions_px, PAIRS, TrainingConfig())
    assert np.array_equal(np.unique(trained), np.unique(validated))


def test_grouping_fields_reach_the_groups(scan: ScanData) -> None:
    def groups_for(**fields: object) -> np.ndarray:
        return training_groups(scan.positions_px, PAIRS, TrainingConfig.model_validate(fields))[0]

    plain = groups_for()
    assert len(groups_for(n_groups=7)) == 7
    assert len(groups_for(n_groups=200)) == 200
    assert len(np.unique(groups_for(n_subsample=20))) <= 20
    assert np.unique(groups_for(n_subsample=20, sequential_sampling=True)).max() < 20
    assert np.array_equal(groups_for(subsample_seed=1), plain), 'the nearest ones are not random'
    assert np.array_equal(groups_for(neighbor_count=3), plain)
    random_groups = groups_for(neighbor_count=8)
    assert not np.array_equal(random_groups, plain)
    assert not np.array_equal(groups_for(neighbor_count=8, subsample_seed=1), random_groups)
    assert np.array_equal(groups_for(), plain)
    wide = scan.positions_px[groups_for(neighbor_count=20)]
    assert np.ptp(wide, axis=1).mean() > np.ptp(scan.positions_px[plain], axis=1).mean()
    with pytest.raises(PatchError, match='neighbor_count'):
        groups_for(neighbor_count=2)


def test_each_sampled_frame_has_a_group_of_its_own(scan: ScanData) -> None:
    groups = inference_groups(scan.positions_px, PAIRS, InferenceConfig())
    assert np.array_equal(np.sort(groups[:, 0]), np.arange(scan.frame_count))
    assert len(inference_groups(scan.positions_px, PAIRS, InferenceConfig(n_subsample=9))) == 9


def test_each_frame_is_in_one_disjoint_group_unless_groups_around_frames_are_asked_for(
    scan: ScanData,
) -> None:
    count = scan.frame_count

    def groups_for(model: ModelConfig = PAIRS, **fields: Any) -> Index:
        inference = InferenceConfig(grouping='disjoint', **fields)
        return inference_groups(scan.positions_px, model, inference)

    groups = groups_for()
    assert len(groups) == -(-count // 4)
    assert np.array_equal(np.unique(groups), np.arange(count))
    assert len(groups_for(n_subsample=9)) == 3
    assert len(groups_for(neighbor_count=5)) == count
    assert len(groups_for(n_groups=7)) == 7
    # One patch a group, that of its first frame.
    assert len(groups_for(PAIRS.model_copy(update={'object_big': False}))) == count


def test_an_epoch_shows_every_group_once_in_an_order_of_its_own(scan: ScanData) -> None:
    made = split(scan)
    first, second, again = (
        made.training_batches(0),
        made.training_batches(1),
        split(scan).training_batches(0),
    )
    assert len(first) == made.steps_per_epoch
    shown = np.concatenate([groups for _, groups in first.groups])
    assert {tuple(one) for one in shown} == {tuple(one) for one in made.training[0]}
    assert len(shown) == len(made.training[0])
    other = np.concatenate([groups for _, groups in second.groups])
    assert not np.array_equal(shown, other)
    for one, two in zip(first.groups, again.groups, strict=True):
        assert np.array_equal(one[1], two[1])
    different = np.concatenate(
        [groups for _, groups in split(scan, seed=1).training_batches(0).groups]
    )
    assert not np.array_equal(shown, different)


def test_batches_have_equal_sizes() -> None:
    assert [len(part) for part in equal_batches(np.zeros((18, 4), np.int64), 8)] == [6, 6, 6]
    assert equal_batches(np.zeros((0, 4), np.int64), 8) == []


@given(st.integers(0, 300), st.integers(1, 40), st.integers(0, 100))
def test_compact_batches_are_as_few_as_others(count: int, size: int, seed: int) -> None:
    random = np.random.RandomState(seed)
    centres = random.random_sample((count, 2))
    parts = compact_batches(np.arange(count)[:, None], centres, size, random)
    assert len(parts) == len(equal_batches(np.arange(count)[:, None], size))
    assert sorted(int(one) for part in parts for one in part[:, 0]) == list(range(count))
    assert all(0 < len(part) <= size for part in parts)


def test_neighbours_share_a_batch_and_meet_others_in_the_next_epoch(scan: ScanData) -> None:
    made = split(scan, SINGLES, batch_size=6)
    alone = split(scan, SINGLES, batch_size=6, overlap='group')

    def extent(one: DatasetSplit) -> float:
        return float(
            np.mean([np.ptp(batch.positions_px, axis=0) for batch in one.training_batches(0)])
        )

    assert extent(made) < 0.6 * extent(alone)
    first, second = (
        {frozenset(groups[:, 0].tolist()) for _, groups in made.training_batches(number).groups}
        for number in (0, 1)
    )
    assert first != second


def test_batches_of_scans_alternate(scan: ScanData) -> None:
    other = make_scan(frame_size=SIZE, side=5, seed=3)
    made = DatasetSplit.from_scans(
        [scan, other], PAIRS, TrainingConfig(batch_size=4), with_ground_truth=False
    )
    numbers = [batch.scan_index for batch in made.training_batches(0)]
    assert set(numbers) == {0, 1}
    assert numbers != sorted(numbers)


def test_true_patches_are_cut_from_the_given_object() -> None:
    known = make_known_scan(frame_size=SIZE, side=6)
    with_ground_truth = dataclasses.replace(known.scan, object_guess=known.ground_truth)
    groups = np.array([[7, 8, 13, 14]])
    batch = GroupedScan.from_scan(with_ground_truth, PAIRS, [groups], with_ground_truth=True).batch(
        groups
    )
    assert batch.ground_truth is not None
    for patch, position in zip(batch.ground_truth, batch.positions_px, strict=True):
        row, column = np.rint(position).astype(int) - SIZE // 2
        assert np.array_equal(patch, known.ground_truth[row : row + SIZE, column : column + SIZE])


def test_learning_from_an_object_needs_one(scan: ScanData) -> None:
    with pytest.raises(ScanDataError, match='objectGuess is flat'):
        GroupedScan.from_scan(scan, SINGLES, [], with_ground_truth=True)
    assert GroupedScan.from_scan(scan, SINGLES, []).batch(np.array([[0]])).ground_truth is None
