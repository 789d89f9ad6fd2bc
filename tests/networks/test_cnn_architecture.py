"""The published network's channels, names and first weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.networks.cnn.architecture import (
    DECODERS,
    decoder_filters,
    encoder_filters,
    initial_weights,
    weight_shapes,
)
from tests.helpers import make_probe

CNN = ModelConfig(architecture='cnn', gridsize=1)


def cnn(**fields: object) -> ModelConfig:
    return ModelConfig.model_validate({'architecture': 'cnn', 'gridsize': 1, **fields})


@pytest.mark.parametrize(
    ('size', 'filters'),
    [(64, (32, 64, 128)), (128, (16, 32, 64, 128)), (256, (8, 16, 32, 64, 128))],
)
def test_encoder_ends_at_8_pixels_with_the_published_channels(
    size: int, filters: tuple[int, ...]
) -> None:
    assert encoder_filters(CNN, size) == filters
    assert size // 2 ** len(filters) == 8
    assert encoder_filters(cnn(n_filters_scale=2), size) == tuple(2 * one for one in filters)


def test_channels_can_be_fewer_down_to_eight() -> None:
    assert encoder_filters(cnn(n_filters_scale=0.5), 64) == (16, 32, 64)
    assert encoder_filters(cnn(n_filters_scale=0.25), 256) == (8, 8, 8, 16, 32)


def test_a_network_that_corrects_patches_joins_blocks_of_the_same_side() -> None:
    model = cnn(network_input='back_projection', gridsize=3)
    shapes = weight_shapes(model, 128, 1)
    assert shapes['encoder.0.0.weight'] == (16, 2, 3, 3)
    assert shapes['encoder.2.1.weight'] == (64, 64, 3, 3)
    assert shapes['decoder.correction.0.0.weight'] == (32, 64 + 32, 3, 3)
    assert shapes['decoder.correction.1.0.weight'] == (16, 32 + 16, 3, 3)
    assert shapes['decoder.correction.head.weight'] == (2, 16, 3, 3)
    assert not any('border' in name for name in shapes)
    first = initial_weights(model, 128, make_probe(128), seed=0)
    assert not first['decoder.correction.head.bias'].any()


@pytest.mark.parametrize('size', [64, 128, 256])
def test_decoders_reach_half_the_frame_and_without_padding_all_of_it(size: int) -> None:
    assert 8 * 2 ** len(decoder_filters(CNN, size)) == size // 2
    assert 8 * 2 ** len(decoder_filters(cnn(pad_object=False), size)) == size


@pytest.mark.parametrize('size', [32, 96, 512])
def test_another_frame_size_is_refused_with_what_to_do(size: int) -> None:
    with pytest.raises(ModelMismatchError, match=f'64, 128, 256 pixels, got {size}.*unrolled'):
        weight_shapes(CNN, size, 1)


def test_channels_follow_from_block_to_block() -> None:
    shapes = weight_shapes(cnn(gridsize=2), 64, 1)
    assert shapes['encoder.0.0.weight'] == (32, 4, 3, 3)
    assert shapes['encoder.2.1.weight'] == (128, 128, 3, 3)
    for decoder in DECODERS['amplitude_phase']:
        assert shapes[f'{decoder}.0.0.weight'] == (64, 128, 3, 3)
        assert shapes[f'{decoder}.1.1.weight'] == (32, 32, 3, 3)
        assert shapes[f'{decoder}.head.weight'] == (4, 28, 3, 3)
        assert shapes[f'{decoder}.border.weight'] == (4, 4, 3, 3)
    assert all(
        shapes[name.replace('weight', 'bias')] == shape[:1]
        for name, shape in shapes.items()
        if name.endswith('weight')
    )


@pytest.mark.parametrize(
    ('fields', 'head', 'border'),
    [
        ({'gridsize': 2, 'object_big': False}, (1, 28, 3, 3), True),
        ({'gridsize': 2, 'probe_big': False}, (4, 32, 3, 3), False),
        ({'pad_object': False}, (1, 32, 3, 3), False),
        ({'n_filters_scale': 2}, (1, 60, 3, 3), True),
    ],
)
def test_heads_fit_what_they_draw(
    fields: dict[str, object], head: tuple[int, ...], border: bool
) -> None:
    shapes = weight_shapes(cnn(**fields), 64, 1)
    assert shapes['decoder.phase.head.weight'] == head
    assert ('decoder.phase.border.weight' in shapes) == border


def test_trainable_parts_are_there_where_asked_for() -> None:
    plain = weight_shapes(cnn(intensity_scale_trainable=False), 64, 2)
    assert set(weight_shapes(CNN, 64, 2)) - set(plain) == {'intensity.log'}
    with_probe = weight_shapes(cnn(probe_trainable=True), 64, 2)
    assert with_probe['probe.real'] == with_probe['probe.imag'] == (2, 64, 64)


def test_fresh_weights_are_repeatable_and_of_the_needed_shapes() -> None:
    model, probe = cnn(gridsize=2, probe_trainable=True), make_probe(64, modes=2)
    weights = initial_weights(model, 64, probe, 3)
    assert {name: one.shape for name, one in weights.items()} == weight_shapes(model, 64, 2)
    assert all(one.dtype == np.float32 for one in weights.values())
    again, other = (initial_weights(model, 64, probe, seed) for seed in (3, 4))
    assert all(np.array_equal(weights[name], again[name]) for name in weights)
    assert not np.array_equal(weights['encoder.1.0.weight'], other['encoder.1.0.weight'])
    assert np.array_equal(weights['probe.real'] + 1j * weights['probe.imag'], probe)
    assert weights['intensity.log'] == 0


def test_convolutions_keep_the_power_of_what_passes_a_relu() -> None:
    weights = initial_weights(CNN, 64, make_probe(64), 0)
    inner = weights['encoder.2.1.weight']
    assert np.var(inner) == pytest.approx(2 / inner[0].size, rel=0.02)
    assert np.std(weights['decoder.phase.head.weight']) < 0.2 * math.sqrt(2 / (28 * 9))


ACTIVATIONS = {
    'sigmoid': lambda x: 1 / (1 + np.exp(-x)),
    'swish': lambda x: x / (1 + np.exp(-x)),
    'softplus': lambda x: np.log1p(np.exp(x)),
    'relu': lambda x: np.maximum(x, 0),
}


@pytest.mark.parametrize('activation', ACTIVATIONS)
@pytest.mark.parametrize('scale', [1.2, 2.0, 50.0])
def test_amplitudes_start_at_one_and_phases_at_zero(activation: str, scale: float) -> None:
    model = cnn(amp_activation=activation, probe_scale=scale)
    weights = initial_weights(model, 64, make_probe(64), 0)
    for part in ('head', 'border'):
        bias = weights[f'decoder.amplitude.{part}.bias'].astype(np.float64)
        assert scale * ACTIVATIONS[activation](bias) == pytest.approx(1, rel=1e-5)
        assert not weights[f'decoder.phase.{part}.bias'].any()


def test_a_sigmoid_that_cannot_reach_one_starts_short_of_its_end() -> None:
    weights = initial_weights(cnn(probe_scale=0.5), 64, make_probe(64), 0)
    assert np.isfinite(weights['decoder.amplitude.head.bias']).all()


def test_real_and_imaginary_part_start_at_the_object_of_an_empty_sample() -> None:
    model = cnn(gridsize=2, output_form='real_imag', probe_scale=4.0)
    weights = initial_weights(model, 64, make_probe(64), 0)
    for part in ('head', 'border'):
        assert weights[f'decoder.real.{part}.bias'] == pytest.approx(np.full(4, 0.25))
        assert not weights[f'decoder.imag.{part}.bias'].any()
    assert not any('amplitude' in name or 'phase' in name for name in weights)
