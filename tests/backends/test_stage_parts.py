"""Features, dose gate and stages of a reconstruction: the parts that all backends share."""

from __future__ import annotations

import numpy as np

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.networks.runner import plan_stages
from ptychopinn_plugin.networks.unrolled.dose_gate import DOSE_BINS, DoseGate
from ptychopinn_plugin.networks.unrolled.features import INPUT_CHANNELS, compute_features
from ptychopinn_plugin.physics.numpy_ops import NumpyOps


def canvases() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (24, 31)
    canvas_object = 1 + 0.3 * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    direction = 0.1 * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    dose = 100 * np.exp(-(np.linspace(-2, 2, 24)[:, None] ** 2)) * np.ones(shape)
    return canvas_object, direction, dose


def test_features_do_not_depend_on_the_global_phase() -> None:
    ops = NumpyOps()
    canvas_object, direction, dose = canvases()
    phase = np.exp(1.3j)
    features = compute_features(ops, canvas_object, direction, dose)
    rotated = compute_features(ops, canvas_object * phase, direction * phase, dose)
    assert len(features.channels) == INPUT_CHANNELS
    for one, other in zip(features.channels, rotated.channels, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)

    outputs = (np.full((24, 31), 0.3), np.full((24, 31), -0.2))
    np.testing.assert_allclose(
        rotated.update_object(ops, canvas_object * phase, outputs),
        features.update_object(ops, canvas_object, outputs) * phase,
        atol=1e-9,
    )


def test_an_update_is_in_units_of_the_expected_error() -> None:
    ops = NumpyOps()
    canvas_object, direction, dose = canvases()
    ones = (np.ones((24, 31)), np.zeros((24, 31)))
    for factor in (1.0, 1e4):
        features = compute_features(ops, canvas_object, direction * 0, dose * factor)
        change = features.update_object(ops, canvas_object, ones) - canvas_object
        noise = 1 / np.sqrt(1 + dose * factor)
        np.testing.assert_allclose(np.abs(change), noise * features.coverage, rtol=1e-2)


def test_dark_pixels_are_left_alone() -> None:
    ops = NumpyOps()
    canvas_object, direction, dose = canvases()
    dose[:5] = 0
    features = compute_features(ops, canvas_object, direction, dose)
    ones = (np.ones((24, 31)), np.ones((24, 31)))
    np.testing.assert_array_equal(
        features.update_object(ops, canvas_object, ones)[:5], canvas_object[:5]
    )


def test_the_gate_is_the_factor_with_the_least_deviance_and_closed_without_a_measurement() -> None:
    doses = np.array([1.0, 1.1, 3.0])
    ratios = np.array([[1.0, 0.8, 0.6], [1.0, 0.9, 0.7], [1.0, 0.95, 1.2]])
    gate = DoseGate.from_validation(doses, ratios)
    assert gate.factor_at(1.0) == 1.0
    assert gate.factor_at(3.0) == 0.5
    assert gate.factor_at(6.0) == 0.0
    assert gate.factor_at(-5.0) == 0.0
    assert gate.factor.shape == DOSE_BINS.shape


def test_the_gate_is_closed_for_a_network_that_only_does_harm() -> None:
    gate = DoseGate.from_validation(np.array([2.0]), np.array([[1.0, 1.1, 1.3]]))
    assert gate.factor_at(2.0) == 0.0


def test_a_network_follows_the_last_pass_unless_it_is_switched_off() -> None:
    inference = InferenceConfig(refine_iterations=2)
    assert plan_stages(inference, with_stage=False) == ['solver', 'solver']
    assert plan_stages(inference, with_stage=True) == ['solver', 'solver', 'network']
    off = InferenceConfig(refine_iterations=2, closing_stage=False)
    assert plan_stages(off, with_stage=True) == ['solver', 'solver']
    assert plan_stages(InferenceConfig(refine_iterations=0), with_stage=True) == []
