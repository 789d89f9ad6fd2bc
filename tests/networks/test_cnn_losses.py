"""Laws of the published network's losses: each weight and `nphotons` has its effect."""

from __future__ import annotations

import numpy as np
import pytest

from ptychopinn_plugin.config import ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import ConfigError
from ptychopinn_plugin.networks.cnn.losses import (
    LossWeights,
    counts_loss,
    patches_loss,
)
from ptychopinn_plugin.physics.noise_models import poisson_deviance
from ptychopinn_plugin.physics.numpy_ops import NumpyOps
from ptychopinn_plugin.physics.ops import Ops
from ptychopinn_plugin.physics.regularizers import total_variation
from tests.frameworks import FRAMEWORKS, MAKERS
from tests.helpers import make_object
from tests.physics.world import Values

CNN = ModelConfig(architecture='cnn', gridsize=1)
NUMPY = NumpyOps()
PHOTONS = 2e4


@pytest.fixture(params=FRAMEWORKS)
def ops(request: pytest.FixtureRequest) -> Ops:
    return MAKERS[request.param]()


def weights(**fields: float) -> LossWeights:
    return LossWeights.from_config(CNN, TrainingConfig.model_validate(fields), PHOTONS)


def frames(seed: int = 0) -> tuple[Values, Values]:
    """Return expected counts and measured amplitudes, float32 (3, 8, 8)."""
    rng = np.random.default_rng(seed)
    expected = rng.gamma(1.0, 50.0, (3, 8, 8))
    return expected.astype(np.float32), np.sqrt(rng.poisson(expected)).astype(np.float32)


def loss(
    ops: Ops, which: LossWeights, expected: Values, amplitudes: Values, good: object = None
) -> float:
    return float(
        ops.number(counts_loss(ops, which, ops.array(expected), ops.array(amplitudes), good))
    )


def patches(seed: int) -> Values:
    return np.stack([make_object((16, 16), seed + number) for number in range(3)])


def test_losses_of_counts_are_what_they_say(ops: Ops) -> None:
    expected, amplitudes = frames()
    deviance = poisson_deviance(NUMPY, expected, amplitudes**2, None) / np.sum(amplitudes**2)
    error = np.sum(np.abs(np.sqrt(expected) - amplitudes)) / np.sum(amplitudes)
    assert loss(ops, weights(), expected, amplitudes) == pytest.approx(deviance, rel=1e-4)
    only_mae = weights(nll_weight=0, mae_weight=1)
    assert loss(ops, only_mae, expected, amplitudes) == pytest.approx(error, rel=1e-4)
    both = weights(nll_weight=0.5, mae_weight=3)
    assert loss(ops, both, expected, amplitudes) == pytest.approx(
        0.5 * deviance + 3 * error, rel=1e-4
    )


def test_losses_are_least_at_the_measured_counts() -> None:
    _, amplitudes = frames()
    for which in (weights(), weights(nll_weight=0, mae_weight=1)):
        at = [loss(NUMPY, which, f * amplitudes**2, amplitudes) for f in (0.9, 1.0, 1.1)]
        assert at[1] == pytest.approx(0, abs=1e-4)
        assert min(at[0], at[2]) > 1e-3


def test_losses_a_photon_do_not_depend_on_the_dose() -> None:
    expected, amplitudes = frames()
    for which in (weights(), weights(nll_weight=0, mae_weight=1)):
        bright = loss(NUMPY, which, 4 * expected, 2 * amplitudes)
        assert bright == pytest.approx(loss(NUMPY, which, expected, amplitudes), rel=1e-4)


def test_bad_pixels_are_left_out(ops: Ops) -> None:
    expected, amplitudes = frames()
    good = np.ones((8, 8), np.float32)
    good[2, 3] = good[7, 0] = 0
    amplitudes = amplitudes * good
    spoilt = expected.copy()
    spoilt[:, good == 0] *= 100
    for which in (weights(), weights(nll_weight=0, mae_weight=1)):
        found = loss(ops, which, spoilt, amplitudes, ops.array(good))
        assert found == pytest.approx(loss(ops, which, expected, amplitudes, ops.array(good)))
        assert found != pytest.approx(loss(ops, which, spoilt, amplitudes))


def test_more_photons_weigh_the_poisson_loss_more_and_no_other() -> None:
    expected, amplitudes = frames()
    own, ten = (weights(nphotons=factor * PHOTONS) for factor in (1, 10))
    assert loss(NUMPY, own, expected, amplitudes) == loss(NUMPY, weights(), expected, amplitudes)
    assert loss(NUMPY, ten, expected, amplitudes) == pytest.approx(
        10 * loss(NUMPY, own, expected, amplitudes)
    )
    assert ten.amplitude == own.amplitude
    assert weights(nphotons=1e3, realspace_weight=2).variation == 2


def test_total_variation_is_the_mean_length_of_the_gradient(ops: Ops) -> None:
    ramp = np.zeros((2, 16, 16), np.complex64) + (3 + 4j) * np.arange(16)[:, None]
    assert ops.number(total_variation(ops, ops.array(ramp))) == pytest.approx(5, rel=1e-5)
    flat = np.full((2, 16, 16), 1 - 2j, np.complex64)
    assert ops.number(total_variation(ops, ops.array(flat))) < 1e-4


def test_losses_of_patches_are_what_they_say(ops: Ops) -> None:
    found, ground_truth = patches(0), patches(10)
    rng = np.random.default_rng(0)
    dose = rng.random((16, 16)).astype(np.float32)
    which = weights(realspace_weight=2, realspace_mae_weight=3)
    error = np.average(np.abs(found - ground_truth).mean(axis=0), weights=dose)
    variation = total_variation(NUMPY, found)
    got = patches_loss(ops, which, ops.array(found), ops.array(ground_truth), ops.array(dose))
    assert ops.number(got) == pytest.approx(2 * variation + 3 * error, rel=1e-4)
    only_ground_truth = weights(realspace_mae_weight=1)
    assert patches_loss(NUMPY, only_ground_truth, ground_truth, ground_truth, dose) < 1e-4
    assert weights().needs_ground_truth is False
    assert only_ground_truth.needs_ground_truth is True


def test_supervised_training_learns_from_the_object_alone() -> None:
    model = ModelConfig(architecture='cnn', model_type='supervised')
    assert LossWeights.from_config(model, TrainingConfig(), PHOTONS) == LossWeights(0, 0, 0, 1)
    supervised = TrainingConfig(realspace_mae_weight=0.3, nll_weight=5, realspace_weight=1)
    assert LossWeights.from_config(model, supervised, PHOTONS) == LossWeights(0, 0, 0, 0.3)
    assert not LossWeights.from_config(model, supervised, PHOTONS).needs_counts


@pytest.mark.pytorch
def test_gradients_agree_with_finite_differences() -> None:
    import torch

    from ptychopinn_plugin.backends.pytorch.ops import TorchOps

    ops = TorchOps(torch.device('cpu'))
    which = weights(mae_weight=1, realspace_weight=1, realspace_mae_weight=1)
    expected, amplitudes = (torch.tensor(one, dtype=torch.float64) for one in frames())
    found, ground_truth = (torch.tensor(patches(seed), dtype=torch.complex128) for seed in (0, 10))
    dose = torch.ones(16, 16, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: counts_loss(ops, which, x, amplitudes, None), expected.requires_grad_()
    )
    assert torch.autograd.gradcheck(
        lambda x: patches_loss(ops, which, x[:1], ground_truth[:1], dose), found.requires_grad_()
    )


@pytest.mark.parametrize('variation', [0.0, 1.0])
def test_a_training_that_nothing_ties_to_the_frames_is_refused(variation: float) -> None:
    with pytest.raises(ConfigError, match=r'all 0.*nll_weight = 1'):
        weights(nll_weight=0, realspace_weight=variation)


def test_the_loss_of_a_reconstruction_is_a_squared_error_but_for_the_phase_of_a_patch(
    ops: Ops,
) -> None:
    target, dose = patches(3), np.ones((16, 16), np.float32)
    dose[:4] = 3
    which = weights(training_target='reconstruction')  # type: ignore[arg-type]
    assert not which.needs_counts

    def of(found: Values) -> float:
        arrays = (ops.array(found), ops.array(target), ops.array(dose))
        return float(ops.number(patches_loss(ops, which, *arrays)))

    turned = target * np.exp(1j * np.array([0.3, -2.0, 3.0]))[:, None, None]
    assert of(turned.astype(np.complex64)) < 1e-9
    # Half as large: what is left has a quarter of the target's squared modulus.
    wanted = np.mean(np.abs(target) ** 2 * dose) / np.mean(dose) / 4
    assert of((turned / 2).astype(np.complex64)) == pytest.approx(wanted, rel=1e-3)
