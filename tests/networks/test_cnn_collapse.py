"""Detection of collapsed trainings: which are stopped, when, and with which message."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.config import Backend, ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import CollapseError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.collapse import (
    INITIAL_STEPS,
    PATIENCE_EPOCHS,
    CollapseDetector,
    CollapseIndicators,
    frame_spread,
    patch_spread,
)
from ptychopinn_plugin.scan import ScanData
from tests.helpers import KnownScan, make_known_scan

SOUND = CollapseIndicators(spread=0.3, dead=0.1, counts_ratio=1.1)
FLAT = CollapseIndicators(spread=1e-4, dead=0.1, counts_ratio=1.0)
DEAD = CollapseIndicators(spread=0.3, dead=0.8, counts_ratio=1.0)


@pytest.fixture(scope='module')
def known() -> KnownScan:
    return make_known_scan(frame_size=32, side=6, step_px=4.0, photons=1e5)


def true_patches(known: KnownScan) -> np.ndarray[tuple[int, ...], np.dtype[np.complex64]]:
    size = known.scan.frame_size
    corners = np.rint(known.scan.positions_px).astype(int) - size // 2
    return np.stack([known.ground_truth[r : r + size, c : c + size] for r, c in corners])


def illumination(scan: ScanData) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray((np.abs(scan.probe) ** 2).sum(axis=0))


def check(detector: CollapseDetector, *indicators: CollapseIndicators) -> None:
    for each in indicators:
        detector.check(each)


def test_a_sound_training_goes_on() -> None:
    check(CollapseDetector(0.3, 100), *[SOUND] * 50)


def test_a_fresh_network_may_be_flat_for_a_while_and_not_for_ever() -> None:
    steps = 100
    allowed = INITIAL_STEPS // steps + PATIENCE_EPOCHS - 1
    detector = CollapseDetector(0.3, steps)
    check(detector, *[FLAT] * allowed)
    with pytest.raises(CollapseError, match=r'object is flat.*learning_rate.*mae_weight'):
        detector.check(FLAT)


def test_a_fresh_network_that_differs_by_chance_has_not_lived() -> None:
    check(
        CollapseDetector(0.3, 4),
        CollapseIndicators(spread=0.1, dead=0.0, counts_ratio=1.0),
        *[FLAT] * 100,
    )


def test_a_short_training_of_few_steps_is_never_condemned() -> None:
    check(CollapseDetector(0.3, 4), *[FLAT] * 100)


def test_patches_that_are_exactly_alike_are_no_fresh_network() -> None:
    detector = CollapseDetector(0.3, 4)
    equal = CollapseIndicators(spread=1e-7, dead=0.4, counts_ratio=1.0)
    check(detector, *[equal] * (PATIENCE_EPOCHS - 1))
    with pytest.raises(CollapseError, match='flat'):
        detector.check(equal)


def test_going_flat_again_is_reported_at_once_but_not_at_the_first_sign() -> None:
    detector = CollapseDetector(0.3, 4)
    check(detector, SOUND, *[FLAT] * (PATIENCE_EPOCHS - 1), SOUND, *[FLAT] * (PATIENCE_EPOCHS - 1))
    with pytest.raises(CollapseError, match='flat'):
        detector.check(FLAT)


def test_flat_patches_are_right_for_frames_that_are_alike() -> None:
    check(CollapseDetector(0.001, 1000), *[FLAT] * 50)


@pytest.mark.parametrize(
    ('indicators', 'message'),
    [
        (DEAD, r'80% of the ReLU channels are dead.*amp_activation'),
        (
            CollapseIndicators(0.3, 0.1, 6.0),
            r'6 times the measured counts.*intensity_scale_trainable',
        ),
        (CollapseIndicators(0.3, 0.1, 0.1), r'0\.1 times the measured counts'),
    ],
)
def test_other_indicators_stop_it_too(indicators: CollapseIndicators, message: str) -> None:
    detector = CollapseDetector(0.3, 100)
    check(detector, *[indicators] * (PATIENCE_EPOCHS - 1))
    with pytest.raises(CollapseError, match=message):
        detector.check(indicators)


def test_signs_that_take_turns_do_not_add_up() -> None:
    check(CollapseDetector(0.3, 100), SOUND, *[FLAT, DEAD] * 10)


def test_two_lasting_signs_are_both_reported() -> None:
    detector = CollapseDetector(0.3, 1000)
    with pytest.raises(CollapseError, match=r'flat.*dead'):
        check(detector, SOUND, *[CollapseIndicators(0.0, 0.9, 1.0)] * PATIENCE_EPOCHS)


def test_counts_are_not_asked_for_where_none_are_predicted() -> None:
    check(CollapseDetector(0.3, 100), *[CollapseIndicators(0.3, 0.1)] * 20)


@pytest.mark.parametrize(
    'indicators', [CollapseIndicators(np.nan, 0.1, 1.0), CollapseIndicators(0.3, 0.1, np.inf)]
)
def test_values_that_are_not_finite_stop_it_at_once(indicators: CollapseIndicators) -> None:
    with pytest.raises(CollapseError, match='not finite'):
        CollapseDetector(0.3, 100).check(indicators)


def test_true_patches_spread_at_least_as_far_as_their_frames(known: KnownScan) -> None:
    measured = frame_spread(known.scan.counts)
    assert measured > 0.02
    assert patch_spread(true_patches(known), illumination(known.scan)) >= measured


def test_noise_is_not_taken_for_differing_frames() -> None:
    random = np.random.RandomState(0)
    for mean in (0.02, 1.3, 40.0):
        frames = random.poisson(mean, (64, 32, 32)).astype(np.float32)
        assert frame_spread(frames) < 0.02


def test_the_phase_of_a_whole_patch_is_no_spread(known: KnownScan) -> None:
    patch = true_patches(known)[0]
    rotated = patch * np.exp(1j * np.arange(5.0))[:, None, None]
    assert patch_spread(rotated.astype(np.complex64), illumination(known.scan)) < 1e-6


def test_what_the_probe_does_not_reach_is_no_spread(known: KnownScan) -> None:
    light = illumination(known.scan) > 0.05 * illumination(known.scan).max()
    patches = np.where(light, np.complex64(1), true_patches(known))
    assert patch_spread(patches.astype(np.complex64), light.astype(np.float32)) < 1e-6


def test_constants_that_differ_by_member_are_no_spread(known: KnownScan) -> None:
    pair = true_patches(known)[:2]
    light = illumination(known.scan)
    assert patch_spread(np.concatenate([pair, pair, pair]), light, group_patches=2) < 1e-6
    assert patch_spread(np.concatenate([pair, pair, pair]), light) > 0.01
    assert patch_spread(pair, light, group_patches=2) == patch_spread(pair, light) > 0.01


def test_patches_of_zero_are_flat(known: KnownScan) -> None:
    nothing = np.zeros((3, 32, 32), np.complex64)
    assert patch_spread(nothing, illumination(known.scan)) == 0


def train(
    backend: Backend, scan: ScanData, gridsize: int, learning_rate: float, epochs: int
) -> TrainedModel:
    execution = ExecutionConfig(
        backend=backend,
        accelerator='cpu',
        learning_rate=learning_rate,
        logger='none',
        enable_checkpointing=False,
        early_stop_patience=1000,
    )
    model = ModelConfig(architecture='cnn', gridsize=gridsize)
    training = TrainingConfig(epochs=epochs, batch_size=8)
    return engine_class(backend)(execution).fit([scan], model, training, Monitor())


@pytest.mark.slow
@pytest.mark.parametrize('gridsize', [1, 2])
def test_a_collapsing_training_stops_early_with_the_reason(backend: Backend, gridsize: int) -> None:
    """At a learning rate that no network survives; at its own the same training goes on."""
    scan = make_known_scan(frame_size=64, side=5, step_px=6.0, photons=1e5).scan
    with pytest.raises(CollapseError, match=r'stopped after epoch \d+: .*a tenth of the'):
        train(backend, scan, gridsize, learning_rate=1.0, epochs=40)
    assert len(train(backend, scan, gridsize, learning_rate=0.0, epochs=5).losses) == 5
