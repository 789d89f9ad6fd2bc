"""The published network in every backend: channels, names, shapes, initial weights.

PtychoPINN of Hoidn, Mishra and Mehta (Sci. Rep. 13, 22789, 2023,
doi:10.1038/s41598-023-48351-7). Each encoder block halves the side of its input with a pooling,
down to 8 x 8; each decoder block doubles it after its convolutions: the receptive field of a
patch's pixel is the whole frame.

With `network_input='back_projection'` a smaller network with skip connections (Ronneberger, Fischer
and Brox, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28) gets the patch that one step of physics
gives, and draws its correction. Encoder blocks halve the side between them, decoder blocks double
it before their convolutions.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.networks.weight_arrays import Weights

# Channels of the encoder's blocks by the frame's side.
FILTERS = {
    64: (32, 64, 128),
    128: (16, 32, 64, 128),
    256: (8, 16, 32, 64, 128),
}
# The two decoders by the form of the output.
DECODERS = {
    'amplitude_phase': ('decoder.amplitude', 'decoder.phase'),
    'real_imag': ('decoder.real', 'decoder.imag'),
}
# Channels of the encoder's blocks of a network that corrects a patch: what a step of physics leaves
# to correct is local. Half as many draw twice as many frames a second and need as much time to
# learn.
CORRECTION_FILTERS = (16, 32, 64)
# Its one decoder, which draws real and imaginary part of the correction.
CORRECTION_DECODER = 'decoder.correction'
COMPLEX_CHANNELS = 2
# Of the channels that `n_filters_scale` leaves: the border's and some for the patch.
FEWEST_CHANNELS = 8
KERNEL = 3
# Channels of a decoder's last block that give the border around the centre that the others give.
BORDER_CHANNELS = 4
# Initial weights of the last convolutions relative to those before ReLUs: the object starts nearly
# flat.
HEAD_FACTOR = 0.1
# Initial value where an amplitude of 1 is above the range of a sigmoid, or near its end, where the
# gradient vanishes.
GREATEST_SIGMOID = 0.9
WEIGHTS_STREAM = 3
INTENSITY, PROBE_REAL, PROBE_IMAG = 'intensity.log', 'probe.real', 'probe.imag'


def encoder_filters(model: ModelConfig, frame_size: int) -> tuple[int, ...]:
    """Return the channels of each encoder block.

    Args:
        model: the architecture.
        frame_size: side N of a frame.

    Raises:
        ModelMismatchError: the network is not made for this side.
    """
    if frame_size not in FILTERS:
        sides = ', '.join(str(side) for side in FILTERS)
        raise ModelMismatchError(
            f'the cnn architecture needs frames of {sides} pixels, got {frame_size}; cut or bin '
            'the frames, or take the architecture unrolled'
        )
    filters = CORRECTION_FILTERS if corrects(model) else FILTERS[frame_size]
    return tuple(max(FEWEST_CHANNELS, round(one * model.n_filters_scale)) for one in filters)


def decoder_filters(model: ModelConfig, frame_size: int) -> tuple[int, ...]:
    """Return the channels of each decoder block: up to N/2 with `pad_object`, to N without."""
    filters = encoder_filters(model, frame_size)
    if model.pad_object or corrects(model):
        return filters[-2::-1]
    return (*filters[-2::-1], filters[0])


def corrects(model: ModelConfig) -> bool:
    """Return whether the network corrects what a step of physics gives, frame by frame."""
    return model.network_input == 'back_projection'


def group_side(model: ModelConfig) -> int:
    """Return the square root of the frames of a group, which the network gets together."""
    return 1 if corrects(model) else model.gridsize


def group_frames(model: ModelConfig) -> int:
    """Return C, the frames of a group."""
    return group_side(model) ** 2


def input_channels(model: ModelConfig) -> int:
    """Return the input channels: one a frame, or real and imaginary part of a patch."""
    return COMPLEX_CHANNELS if corrects(model) else group_frames(model)


def output_channels(model: ModelConfig) -> int:
    """Return the patches of a group: one a frame, or that of its first frame."""
    return group_frames(model) if model.object_big else 1


def decoder_names(model: ModelConfig) -> tuple[str, ...]:
    """Return the names of the decoders."""
    return (CORRECTION_DECODER,) if corrects(model) else DECODERS[model.output_form]


def has_border(model: ModelConfig) -> bool:
    """Return whether separate channels give the border of a patch."""
    return model.pad_object and model.probe_big and not corrects(model)


def weight_shapes(model: ModelConfig, frame_size: int, modes: int) -> dict[str, tuple[int, ...]]:
    """Return name and shape of each trained array, in the network's order.

    Args:
        model: the architecture.
        frame_size: side N of a frame: 64, 128 or 256.
        modes: of the probe.

    Returns:
        Convolutions (out, in, 3, 3) and their biases (out,); 'intensity.log' (1,) and
        'probe.real', 'probe.imag' (modes, N, N) where the config makes them trainable.

    Raises:
        ModelMismatchError: the network is not made for this side.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    filters = encoder_filters(model, frame_size)
    for block, (before, after) in enumerate(
        zip((input_channels(model), *filters), filters, strict=False)
    ):
        shapes |= _block(f'encoder.{block}', before, after)
    for decoder in decoder_names(model):
        shapes |= _decoder(decoder, filters[-1], model, frame_size)
    if model.intensity_scale_trainable:
        shapes[INTENSITY] = (1,)
    if model.probe_trainable:
        shapes[PROBE_REAL] = shapes[PROBE_IMAG] = (modes, frame_size, frame_size)
    return shapes


def initial_weights(
    model: ModelConfig, frame_size: int, probe: npt.NDArray[np.complex64], seed: int
) -> Weights:
    """Return the initial weights, the same ones for every backend.

    He-uniform before ReLUs (He et al., ICCV 2015, doi:10.1109/ICCV.2015.123); the last
    convolutions are smaller and biased so that the object starts near 1.

    Args:
        model: the architecture.
        frame_size: side N of a frame.
        probe: complex64 (modes, N, N), initial value of a trained probe.
        seed: of the weights.

    Raises:
        ModelMismatchError: the network is not made for this side.
    """
    random = np.random.RandomState([seed, WEIGHTS_STREAM])
    weights: Weights = {}
    first = decoder_names(model)[0]
    for name, shape in weight_shapes(model, frame_size, len(probe)).items():
        is_last = is_last_convolution(name)
        if name.endswith('.weight'):
            bound = math.sqrt(6 / math.prod(shape[1:])) * (HEAD_FACTOR if is_last else 1)
            weights[name] = random.uniform(-bound, bound, shape).astype(np.float32)
        else:
            start = amplitude_bias(model) if is_last and name.startswith(first) else 0.0
            weights[name] = np.full(shape, start, np.float32)
    if model.probe_trainable:
        weights[PROBE_REAL] = np.ascontiguousarray(probe.real, np.float32)
        weights[PROBE_IMAG] = np.ascontiguousarray(probe.imag, np.float32)
    return weights


def is_last_convolution(name: str) -> bool:
    """Return whether weights of this name, or their layer, are of a decoder's last convolutions."""
    return 'head' in name.split('.') or 'border' in name.split('.')


def amplitude_bias(model: ModelConfig) -> float:
    """Return the bias of the first decoder that gives an amplitude of 1 after `probe_scale`.

    0 for a decoder that draws a correction.
    """
    if corrects(model):
        return 0.0
    target = 1 / model.probe_scale
    if model.output_form == 'real_imag':
        return target
    if model.amp_activation == 'sigmoid':
        target = min(target, GREATEST_SIGMOID)
        return math.log(target / (1 - target))
    if model.amp_activation == 'softplus':
        return target + math.log(-math.expm1(-target))
    if model.amp_activation == 'swish':
        return float(brentq(lambda x: x / (1 + math.exp(-x)) - target, 0, target + 2))
    return target


def _block(name: str, before: int, after: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of two convolutions."""
    return _conv(f'{name}.0', before, after) | _conv(f'{name}.1', after, after)


def _decoder(
    name: str, before: int, model: ModelConfig, frame_size: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of one decoder."""
    shapes: dict[str, tuple[int, ...]] = {}
    for block, after in enumerate(decoder_filters(model, frame_size)):
        # Of the encoder's block of the same side.
        skipped = after if corrects(model) else 0
        shapes |= _block(f'{name}.{block}', before + skipped, after)
        before = after
    border = BORDER_CHANNELS if has_border(model) else 0
    drawn = COMPLEX_CHANNELS if corrects(model) else output_channels(model)
    shapes |= _conv(f'{name}.head', before - border, drawn)
    if border:
        shapes |= _conv(f'{name}.border', border, output_channels(model))
    return shapes


def _conv(name: str, before: int, after: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of one convolution."""
    return {f'{name}.weight': (after, before, KERNEL, KERNEL), f'{name}.bias': (after,)}
