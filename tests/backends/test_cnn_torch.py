"""The published network in PyTorch: what it draws, and how it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.config import ExecutionConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.errors import BackendUnavailableError, ModelMismatchError
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.networks.cnn.architecture import initial_weights
from ptychopinn_plugin.networks.learning_rate import cnn_schedule
from ptychopinn_plugin.networks.weight_arrays import Weights
from ptychopinn_plugin.scan import ScanData
from tests.helpers import make_probe, make_scan

if TYPE_CHECKING:
    from ptychopinn_plugin.backends.pytorch.cnn_network import PatchNetwork

pytestmark = pytest.mark.pytorch
PROBE = make_probe(64, modes=2)
CENTRE = np.s_[..., 16:48, 16:48]


def cnn(**fields: Any) -> ModelConfig:
    return ModelConfig.model_validate({'architecture': 'cnn', 'gridsize': 1, **fields})


def network_of(model: ModelConfig, weights: Weights | None = None) -> PatchNetwork:
    from ptychopinn_plugin.backends.pytorch.cnn_network import PatchNetwork

    initial = initial_weights(model, 64, PROBE, 0)
    return PatchNetwork(model, 64, 2, initial if weights is None else weights)


def predict(model: ModelConfig, factor: float = 1.0, groups: int = 2) -> Any:
    """Return patches of random frames; `factor` multiplies the last convolutions."""
    import torch

    weights = initial_weights(model, 64, PROBE, 0)
    for name in weights:
        if '.head.weight' in name or '.border.weight' in name:
            weights[name] *= np.float32(factor)
    frames = np.random.default_rng(0).gamma(1.0, 0.5, (groups, model.gridsize**2, 64, 64))
    with torch.no_grad():
        return network_of(model, weights)(torch.tensor(frames, dtype=torch.float32)).numpy()


@pytest.mark.parametrize(
    ('fields', 'patches'),
    [
        ({}, 2),
        ({'gridsize': 2}, 8),
        ({'gridsize': 2, 'object_big': False}, 2),
        ({'gridsize': 3}, 18),
    ],
)
def test_a_group_gives_a_patch_a_frame_or_its_own(fields: dict[str, Any], patches: int) -> None:
    found = predict(cnn(**fields))
    assert found.shape == (patches, 64, 64)
    assert found.dtype == np.complex64


@pytest.mark.parametrize(
    'fields',
    [{}, {'pad_object': False}, {'amp_activation': 'swish'}, {'output_form': 'real_imag'}],
)
def test_objects_start_near_one(fields: dict[str, Any]) -> None:
    found = predict(cnn(**fields))
    assert np.abs(found - 1).mean() < 0.3
    assert np.std(found) > 1e-3


def test_padding_leaves_the_border_empty_unless_channels_fill_it() -> None:
    empty = predict(cnn(probe_big=False))
    assert np.abs(empty[CENTRE]).min() > 0.1
    empty[CENTRE] = 0
    assert not empty.any()
    filled = predict(cnn())
    filled[CENTRE] = 1
    assert np.abs(filled).min() > 0.1


def test_the_head_draws_the_centre_and_other_channels_the_border() -> None:
    import torch

    weights = initial_weights(cnn(), 64, PROBE, 0)
    frames = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))

    def changed(name: str) -> Any:
        other = {**weights, name: weights[name] + np.float32(1)}
        with torch.no_grad():
            whole, found = (network_of(cnn(), one)(frames).numpy() for one in (weights, other))
        return np.abs(found - whole) > 1e-6

    centre = changed('decoder.amplitude.head.bias')
    assert centre[CENTRE].all()
    assert centre.sum() == 32 * 32
    assert np.array_equal(changed('decoder.phase.border.bias'), ~centre)


@pytest.mark.parametrize('activation', ['sigmoid', 'swish', 'softplus', 'relu'])
def test_amplitudes_have_the_range_of_their_activation(activation: str) -> None:
    found = predict(cnn(amp_activation=activation, probe_scale=3.0), factor=200)
    amplitude = np.abs(found)
    assert amplitude.max() > 2.5
    assert (amplitude.max() <= 3.0001) == (activation == 'sigmoid')
    assert amplitude.min() < 0.1


def test_probe_scale_is_the_unit_of_the_amplitude() -> None:
    two, four = (np.abs(predict(cnn(probe_scale=scale), factor=1e3)).max() for scale in (2.0, 4.0))
    assert two == pytest.approx(2, rel=1e-3)
    assert four == pytest.approx(4, rel=1e-3)


def test_real_and_imaginary_part_have_no_bounds_and_the_unit_of_the_amplitude() -> None:
    one, two = (
        predict(cnn(output_form='real_imag', probe_scale=scale), factor=200) for scale in (1.0, 2.0)
    )
    assert np.abs(one).max() > 10
    # An empty sample, 1, whatever the unit, and changes from it in that unit.
    assert np.allclose(two - 1, 2 * (one - 1), atol=1e-4)


def test_phases_reach_all_around_and_no_further() -> None:
    found = np.angle(predict(cnn(), factor=1e3))
    assert found.max() > 3
    assert found.min() < -3


def test_members_of_a_group_keep_their_places() -> None:
    """The patches of a group lie next to each other, and groups do not touch each other."""
    import torch

    network = network_of(cnn(gridsize=2))
    frames = torch.rand(3, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = network(frames)
        alone = network(frames[1:2])
    assert torch.allclose(whole[4:8], alone, atol=1e-5)


def test_peaks_say_which_channels_are_dead() -> None:
    import torch

    weights = initial_weights(cnn(), 64, PROBE, 0)
    weights['encoder.1.0.bias'][:10] = -1e6
    peaks: list[torch.Tensor] = []
    network_of(cnn(), weights)(torch.rand(2, 1, 64, 64), peaks)
    found = torch.cat(peaks)
    assert found.numel() == 2 * (32 + 64 + 128) + 2 * 2 * (64 + 32)
    # The second block's first convolution comes after both of the first block.
    assert not found[64:74].any()
    assert int((found[64:128] > 0).sum()) > 40


def test_wrong_weights_are_refused() -> None:
    weights = initial_weights(cnn(), 64, PROBE, 0)
    del weights['decoder.phase.head.bias']
    with pytest.raises(ModelMismatchError, match=r'phase\.head\.bias is missing'):
        network_of(cnn(), weights)


@pytest.fixture(scope='module')
def scan() -> ScanData:
    return make_scan(frame_size=64, side=4, step_px=6.0)


def trained(scan: ScanData, **execution: Any) -> Weights:
    engine = engine_class('pytorch')(
        ExecutionConfig.model_validate(
            {'backend': 'pytorch', 'accelerator': 'cpu', 'logger': 'none', **execution}
        )
    )
    training = TrainingConfig(epochs=1, batch_size=2, n_groups=6)
    return engine.fit([scan], cnn(), training, Monitor()).weights


def test_accumulated_gradients_make_fewer_steps(scan: ScanData) -> None:
    def moved(steps: int) -> float:
        weights = trained(scan, accum_steps=steps, gradient_clip_val=0)
        start = initial_weights(cnn(), 64, scan.probe, 0)
        return float(np.abs(weights['encoder.0.0.bias'] - start['encoder.0.0.bias']).max())

    # Three batches: the last step is made in any case, at the rate of the third batch. The first
    # step of Adam is as long as its rate.
    one = moved(100)
    rate = cnn_schedule(ExecutionConfig(), 3).rate(2)
    assert one == pytest.approx(rate, rel=0.05)
    assert moved(3) == pytest.approx(one, rel=0.05)
    assert moved(1) > 1.5 * one


def test_clipping_and_rate_reach_the_optimiser(scan: ScanData) -> None:
    plain = trained(scan)['encoder.2.1.weight']
    assert not np.array_equal(trained(scan, gradient_clip_val=1e-4)['encoder.2.1.weight'], plain)
    assert not np.array_equal(trained(scan, learning_rate=1e-4)['encoder.2.1.weight'], plain)


@pytest.mark.slow
def test_loader_processes_change_no_number(scan: ScanData) -> None:
    plain, helped = trained(scan), trained(scan, num_workers=1)
    assert all(np.allclose(plain[name], helped[name], atol=1e-6) for name in plain)


@pytest.mark.parametrize('fields', [{'devices': 2}, {'num_nodes': 2}])
def test_several_cpus_are_no_several_devices(scan: ScanData, fields: dict[str, int]) -> None:
    with pytest.raises(BackendUnavailableError, match=r'2 devices were asked for.*more threads'):
        trained(scan, **fields)
