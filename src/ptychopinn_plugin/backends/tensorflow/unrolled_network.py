"""The learned stage of the `unrolled` architecture, in Keras on TensorFlow."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.activations import silu
from ptychopinn_plugin.backends.tensorflow.weights import export_weights, import_weights
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.unrolled.features import INPUT_CHANNELS, OUTPUT_CHANNELS
from ptychopinn_plugin.networks.weight_arrays import Weights

# The finest level works on 2 x 2 blocks of pixels: a quarter of the cost, twice the reach.
BLOCK = 2


class StageNetwork:
    """Maps the features of a canvas to an update of its object.

    A pyramid of convolutions that starts on blocks of 2 x 2 pixels. The last layer starts at zero,
    so an untrained network changes nothing.

    Attributes:
        convolutions: Keras' layers by the names that their weights have in a model file.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        """Build the network with random weights from a seed."""
        self.config = config
        self.channels = [config.width * min(2**level, 2) for level in range(config.levels)]
        self.multiple = BLOCK * 2 ** (config.levels - 1)
        self.convolutions: dict[str, Any] = {}
        self._seeds = np.random.SeedSequence(seed)
        first = self.channels[0]
        self._convolution('inlet', INPUT_CHANNELS * BLOCK**2, first)
        for level, here in enumerate(self.channels):
            self._build_level(level, here)
        self._convolution('outlet', first, OUTPUT_CHANNELS * BLOCK**2)
        for variable in self.convolutions['outlet'].weights:
            variable.assign(tf.zeros_like(variable.value))

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Map features (b, H, W, INPUT_CHANNELS) to (b, H, W, OUTPUT_CHANNELS), any H and W."""
        shape = tf.shape(features)
        height, width = shape[1], shape[2]
        # Each level halves both sides: padded to a multiple, and cut off again at the end.
        below, right = -height % self.multiple, -width % self.multiple
        padded = tf.pad(features, ((0, 0), (0, below), (0, right), (0, 0)))
        x = self._level(0, self.convolutions['inlet'](pixels_to_channels(padded)))
        x = self.convolutions['outlet'](silu(x))
        return channels_to_pixels(x)[:, :height, :width]

    def weights(self) -> Weights:
        """Return copies of the weights as NumPy arrays, named and ordered as in a model file."""
        return export_weights(self.convolutions)

    def set_weights(self, weights: Weights) -> None:
        """Set the weights, named and ordered as in a model file."""
        import_weights(self.convolutions, weights)

    def variables(self) -> list[Any]:
        """Return Keras' variables, in the order of the layers."""
        return [variable for layer in self.convolutions.values() for variable in layer.weights]

    def _build_level(self, level: int, here: int) -> None:
        prefix = _prefix(level)
        coarser = self.channels[level + 1 :]
        for index in range(self.config.blocks):
            self._convolution(f'{prefix}before.{index}.conv', here, here)
            if coarser:
                self._convolution(f'{prefix}after.{index}.conv', here, here)
        if coarser:
            self._convolution(f'{prefix}down', here, coarser[0], stride=2)
            self._convolution(f'{prefix}up', coarser[0], here, stride=2, transposed=True)

    def _convolution(
        self, name: str, inputs: int, outputs: int, *, stride: int = 1, transposed: bool = False
    ) -> None:
        """Build a layer, 3 x 3 or, with a stride, 2 x 2; initialised as in PyTorch."""
        kind = keras.layers.Conv2DTranspose if transposed else keras.layers.Conv2D
        side = 3 if stride == 1 else 2
        kernel_seed, bias_seed = (int(seed) for seed in self._seeds.spawn(1)[0].generate_state(2))
        # PyTorch's default, which counts the outputs of a transposed convolution.
        bound = 1 / math.sqrt((outputs if transposed else inputs) * side**2)
        layer = kind(
            outputs,
            side,
            strides=stride,
            padding='same' if stride == 1 else 'valid',
            kernel_initializer=keras.initializers.RandomUniform(-bound, bound, seed=kernel_seed),
            bias_initializer=keras.initializers.RandomUniform(-bound, bound, seed=bias_seed),
        )
        layer.build((None, None, None, inputs))
        self.convolutions[name] = layer

    def _level(self, level: int, x: tf.Tensor) -> tf.Tensor:
        """Run one resolution of the pyramid: residual blocks around the coarser levels."""
        prefix = _prefix(level)
        x = self._blocks(f'{prefix}before', x)
        if level + 1 == len(self.channels):
            return x
        coarse = self._level(level + 1, self.convolutions[f'{prefix}down'](silu(x)))
        x = x + self.convolutions[f'{prefix}up'](silu(coarse))
        return self._blocks(f'{prefix}after', x)

    def _blocks(self, prefix: str, x: tf.Tensor) -> tf.Tensor:
        for index in range(self.config.blocks):
            x = x + self.convolutions[f'{prefix}.{index}.conv'](silu(x))
        return x


def _prefix(level: int) -> str:
    # The names of PyTorch's nested modules: one model file serves both backends.
    return 'pyramid.' + 'inner.' * level


def pixels_to_channels(x: tf.Tensor) -> tf.Tensor:
    """Fold blocks of BLOCK x BLOCK pixels into channels: (channel, row, column) in that order."""
    batch, height, width, channels = _sides(x)
    x = tf.reshape(x, (batch, height // BLOCK, BLOCK, width // BLOCK, BLOCK, channels))
    # The order of PyTorch's pixel_unshuffle: one model file serves both backends.
    x = tf.transpose(x, (0, 1, 3, 5, 2, 4))
    return tf.reshape(x, (batch, height // BLOCK, width // BLOCK, channels * BLOCK**2))


def channels_to_pixels(x: tf.Tensor) -> tf.Tensor:
    """Undo `pixels_to_channels`."""
    batch, height, width, channels = _sides(x)
    x = tf.reshape(x, (batch, height, width, channels // BLOCK**2, BLOCK, BLOCK))
    x = tf.transpose(x, (0, 1, 4, 2, 5, 3))
    return tf.reshape(x, (batch, height * BLOCK, width * BLOCK, channels // BLOCK**2))


def _sides(x: tf.Tensor) -> tuple[Any, Any, Any, int]:
    shape = tf.shape(x)
    return shape[0], shape[1], shape[2], x.shape[3]
