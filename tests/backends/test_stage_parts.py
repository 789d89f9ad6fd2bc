"""Features, dose gate and stages of a reconstruction: the parts that all backends share."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.config import InferenceConfig
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.runner import Stage, plan_stages, run_reconstruction
from ptychopinn_plugin.networks.unrolled.dose_gate import DOSE_BINS, DoseGate
from ptychopinn_plugin.networks.unrolled.features import INPUT_CHANNELS, compute_features
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.scan import Reconstruction
from tests.helpers import make_scan


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


@pytest.mark.parametrize('with_stage', [False, True])
def test_physics_alone_has_no_network_stages(with_stage: bool) -> None:
    steps = plan_stages(
        InferenceConfig(stages=2, stage_passes=2, refine_iterations=3), with_stage=with_stage
    )
    if with_stage:
        early = ['solver', 'solver', 'network']
        assert steps == [*early, *early, 'solver', 'solver', 'solver', 'network']
    else:
        assert steps == ['solver'] * 3


def test_the_closing_stage_may_be_left_out() -> None:
    inference = InferenceConfig(stages=1, refine_iterations=2, closing_stage=False)
    assert plan_stages(inference, with_stage=True)[-2:] == ['solver', 'solver']
    without_passes = InferenceConfig(stages=1, refine_iterations=0)
    assert plan_stages(without_passes, with_stage=True) == ['solver', 'solver', 'network']


class Closing:
    """A solver of one small scan on NumPy, and stages that change its object."""

    def __init__(self) -> None:
        self.scan = make_scan(side=6, frame_size=32, step_px=4.0, photons=1e4)
        # Passes of the same kind with and without a stage, so that only the stage differs.
        self.inference = InferenceConfig(
            refine_iterations=8,
            stages=0,
            update_probe='off',
            noise_model='amplitude',
            object_prior=False,
            subsets=2,
        )
        self.alone = self.run(None)

    def run(self, stage: Stage | None) -> Reconstruction:
        return run_reconstruction(
            NumpyOps(), self.scan, self.inference, Monitor(), backend='pytorch', stage=stage
        )


def test_a_closing_stage_that_raises_the_residual_by_more_than_noise_is_reverted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closing = Closing()
    spoilt = closing.run(lambda canvas_object, direction, dose: canvas_object * np.conj(direction))
    np.testing.assert_array_equal(spoilt.object_canvas, closing.alone.object_canvas)
    assert spoilt.stages[-1] == 'solver'
    assert 'left out' in caplog.text


def test_a_closing_stage_may_remove_fitted_noise() -> None:
    closing = Closing()
    kept = closing.run(lambda canvas_object, direction, dose: canvas_object * 1.02)
    assert kept.stages[-1] == 'network'
    assert kept.residual[-1] > closing.alone.residual[-1]
