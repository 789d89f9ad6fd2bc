"""Training episodes obey Poisson statistics and keep held-out photons out of their crops."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from ptychopinn_plugin.config import TrainingConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.networks.unrolled.episode_datasets import TrainingEpisodes
from ptychopinn_plugin.networks.unrolled.episode_pool import EpisodePool
from ptychopinn_plugin.networks.unrolled.episode_run import prepare_episode
from ptychopinn_plugin.networks.unrolled.episodes import (
    TrainingScan,
    training_episode,
    validation_episode,
)
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan.canvas import Canvas
from tests.helpers import make_known_scan

CONFIG = TrainingConfig(crop_frames=16, sparse_share=0.0)


@pytest.fixture(scope='module')
def scan() -> TrainingScan:
    known = make_known_scan(side=8, frame_size=32, step_px=4.0, photons=2e4)
    canvas = Canvas.for_scan(known.scan)
    return TrainingScan.from_scan(known.scan, known.ground_truth, canvas, 0.25)


def test_the_same_stream_draws_the_same_episode(scan: TrainingScan) -> None:
    first, again = (training_episode(scan, CONFIG, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.crop.counts, again.crop.counts)
    np.testing.assert_array_equal(
        first.held_out_scan.positions_px, again.held_out_scan.positions_px
    )
    assert first.passes == again.passes


def test_seen_and_held_out_photons_are_those_measured(scan: TrainingScan) -> None:
    for seed in range(5):
        episode = training_episode(scan, CONFIG, np.random.default_rng(seed))
        for frame, position in zip(
            episode.held_out_scan.counts, episode.held_out_scan.positions_px, strict=True
        ):
            same = np.all(episode.crop.positions_px == position, axis=1)
            seen = episode.crop.counts[same][0]
            total = frame + seen
            matches = np.all(scan.scan.counts == total, axis=(1, 2))
            assert matches.any()


def test_thinning_dims_the_probe_as_it_dims_the_frames(scan: TrainingScan) -> None:
    full = np.sum(np.abs(scan.scan.probe) ** 2)
    for seed in range(5):
        episode = training_episode(scan, CONFIG, np.random.default_rng(seed))
        kept = np.sum(np.abs(episode.crop.probe) ** 2) / full
        left = np.sum(np.abs(episode.held_out_scan.probe) ** 2) / full
        assert kept + left == pytest.approx(1, rel=1e-5)
        measured = episode.crop.counts.sum() / scan.scan.counts.mean(axis=0).sum() / 16
        assert measured == pytest.approx(kept, rel=0.25)


def test_validation_frames_never_train(scan: TrainingScan) -> None:
    assert not set(scan.training_frames) & set(scan.validation_frames)
    together = np.sort(np.concatenate([scan.training_frames, scan.validation_frames]))
    np.testing.assert_array_equal(together, np.arange(64))


def test_validation_goes_from_the_lowest_to_the_highest_dose(scan: TrainingScan) -> None:
    rng = np.random.default_rng(0)
    photons = [
        validation_episode(scan, CONFIG, position, sparse=False, rng=rng).crop.counts.mean()
        for position in (0.0, 0.5, 1.0)
    ]
    assert photons[0] < photons[1] < photons[2]
    assert photons[0] * 32 * 32 == pytest.approx(300, rel=0.3)
    sparse = validation_episode(scan, CONFIG, 0.5, sparse=True, rng=rng)
    assert sparse.crop.frame_count == 4


def test_sparse_episodes_hold_out_dropped_frames_too(scan: TrainingScan) -> None:
    config = CONFIG.model_copy(update={'sparse_share': 1.0})
    dropped = 0
    for seed in range(10):
        episode = training_episode(scan, config, np.random.default_rng(seed))
        assert episode.crop.frame_count == 4
        shown = {tuple(position) for position in episode.crop.positions_px}
        dropped += sum(
            tuple(position) not in shown for position in episode.held_out_scan.positions_px
        )
    assert dropped > 0


def test_the_reference_lies_where_the_crop_lies(scan: TrainingScan) -> None:
    """The true object, cut to the crop, explains the crop's frames better than when it is moved."""
    episode = training_episode(scan, CONFIG, np.random.default_rng(1))
    size = 32

    def misfit(rows: int, columns: int) -> float:
        reference = np.roll(episode.reference, (rows, columns), axis=(0, 1))
        total = 0.0
        for frame, (y, x) in zip(
            episode.held_out_scan.counts, episode.held_out_scan.positions_px, strict=True
        ):
            row, column = round(y) - size // 2, round(x) - size // 2
            patch = reference[row : row + size, column : column + size]
            f = np.fft.fftfreq(size)
            ramp = np.exp(-2j * math.pi * (f[:, None] * (y - round(y)) + f * (x - round(x))))
            probe = np.fft.ifft2(np.fft.fft2(episode.held_out_scan.probe[0]) * ramp)
            wave = np.fft.fftshift(np.fft.fft2(probe * patch, norm='ortho'))
            total += float(np.sum((np.abs(wave) - np.sqrt(frame)) ** 2))
        return total

    moved = [misfit(*shift) for shift in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    assert misfit(0, 0) < 0.9 * min(moved)


def test_known_patches_of_a_scan_are_left_aside(scan: TrainingScan) -> None:
    whole = dataclasses.replace(scan.scan, true_patches=scan.scan.counts.astype(np.complex64))
    known = dataclasses.replace(scan, scan=whole)
    episode = training_episode(known, CONFIG, np.random.default_rng(3))
    assert episode.crop.true_patches is None
    assert episode.held_out_scan.true_patches is None
    np.testing.assert_array_equal(
        episode.crop.counts, training_episode(scan, CONFIG, np.random.default_rng(3)).crop.counts
    )


def faint(photons: float, *, noise: bool) -> TrainingScan:
    known = make_known_scan(side=8, frame_size=32, step_px=4.0, photons=photons, noise=noise)
    canvas = Canvas.for_scan(known.scan)
    return TrainingScan.from_scan(known.scan, known.ground_truth, canvas, 0.25)


def test_faint_frames_that_are_no_whole_numbers_keep_their_light() -> None:
    scan = faint(8.0, noise=False)
    assert scan.scan.counts.max() < 0.5
    rng = np.random.default_rng(0)
    episodes = [training_episode(scan, CONFIG, rng) for _ in range(60)]
    frames = sum(len(episode.crop.counts) for episode in episodes)
    photons = sum(float(episode.crop.counts.sum()) for episode in episodes)
    kept = np.mean([np.sum(np.abs(e.crop.probe) ** 2) for e in episodes]) / 8
    assert photons / frames == pytest.approx(scan.scan.counts.sum() / 64 * kept, rel=0.1)


def test_no_part_of_a_faint_scan_is_empty() -> None:
    scan = faint(0.3, noise=False)
    sparse = TrainingConfig(crop_frames=8, sparse_share=1.0)
    for seed in range(30):
        episode = training_episode(scan, sparse, np.random.default_rng(seed))
        assert episode.crop.counts.any()
        assert episode.held_out_scan.counts.any()


def test_a_scan_that_is_too_faint_says_so() -> None:
    scan = faint(1e-4, noise=False)
    with pytest.raises(ScanDataError, match=r'0\.0000\d+ photons a frame|e-05 photons a frame'):
        training_episode(scan, CONFIG, np.random.default_rng(0))


@pytest.mark.parametrize('reference', [1.0, 0.2], ids=['good', 'bad'])
def test_the_loss_of_no_update_is_one_and_minus_one_beside_a_worse_reference(
    scan: TrainingScan, reference: float
) -> None:
    config = TrainingConfig(crop_frames=9, sparse_share=0)
    episode = training_episode(scan, config, np.random.default_rng(0))
    # A reference that is far too dark, as from a scan some of whose frames are dark.
    dimmed = (reference * episode.reference).astype(np.complex64)
    passes = (1,) if reference == 1 else (4,)
    short = dataclasses.replace(episode, reference=dimmed, passes=passes)
    prepared = prepare_episode(NumpyOps(), short, lambda: None)
    (ratios,) = prepared.deviance_ratios(NumpyOps(), lambda before: before.canvas_object)
    assert ratios == pytest.approx([1.0 if reference == 1 else -1.0] * len(ratios), rel=1e-4)


def test_a_part_of_an_update_is_measured_as_that_part(scan: TrainingScan) -> None:
    config = TrainingConfig(crop_frames=9, sparse_share=0)
    episode = training_episode(scan, config, np.random.default_rng(0))
    prepared = prepare_episode(NumpyOps(), dataclasses.replace(episode, passes=(2,)), lambda: None)
    (before,) = prepared.states
    whole = prepared.deviance_ratios(
        NumpyOps(), lambda one: one.canvas_object + 0.8 * (episode.reference - one.canvas_object)
    )[0]
    half = prepared.deviance_ratios(
        NumpyOps(), lambda one: one.canvas_object + 0.4 * (episode.reference - one.canvas_object)
    )[0]
    assert whole[0] == half[0] == pytest.approx(1.0, rel=1e-4)
    assert whole[1] == pytest.approx(half[2], rel=1e-4)
    assert whole[2] < whole[1] < 0.8
    assert before.excess > 0


def test_episodes_are_reconstructed_once_and_replaced_bit_by_bit(scan: TrainingScan) -> None:
    config = TrainingConfig(steps_per_epoch=4, crop_frames=9, sparse_share=0.0)
    pool = EpisodePool([scan], config, lambda: None)
    drawn: list[set[int]] = []
    orders: list[list[int]] = []
    for epoch in range(3):
        visits = list(pool.training(epoch))
        orders.append([visit.number for visit in visits])
        drawn.append({visit.number for visit in visits if visit.episode is not None})
        prepared = [pool.trained(NumpyOps(), visit) for visit in visits]
        assert [one.held_out_scan is not None for one in prepared] == [True] * 4
    assert [sorted(order) for order in orders] == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    assert drawn == [{0, 1, 2, 3}, {4}, {5}]
    # A training that is resumed in its third epoch draws what this one has kept.
    resumed = list(TrainingEpisodes([scan], config, 2))
    assert [visit.number for visit in resumed] == orders[2]
    assert all(visit.episode is not None for visit in resumed)


def test_episodes_beyond_the_memory_are_reconstructed_again(
    scan: TrainingScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainingConfig(steps_per_epoch=4, crop_frames=9, sparse_share=0.0)
    monkeypatch.setattr(
        'ptychopinn_plugin.networks.unrolled.episode_pool.MOST_BYTES', 2 * 4 * 32 * 32 * 4
    )
    pool = EpisodePool([scan], config, lambda: None)
    for visit in pool.training(0):
        assert pool.trained(NumpyOps(), visit).held_out_scan.frame_count == 4
    assert sum(visit.episode is None for visit in pool.training(0)) == 2
