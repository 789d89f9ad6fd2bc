"""The network of the `cnn` architecture, in Keras on TensorFlow.

PtychoPINN as published: Hoidn, Mishra and Mehta, Sci. Rep. 13:22789, 2023,
doi:10.1038/s41598-023-48351-7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.cnn.architecture import (
    BORDER_CHANNELS,
    DECODERS,
    INTENSITY,
    PROBE_IMAG,
    PROBE_REAL,
    decoder_filters,
    encoder_filters,
    weight_shapes,
)
from ptychopinn_plugin.networks.weights import Weights, checked

# From the axes of a model file to those of Keras, and back.
_TO_KERAS, _FROM_KERAS = (2, 3, 1, 0), (3, 2, 0, 1)
_ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    'sigmoid': tf.sigmoid,
    'swish': tf.nn.silu,
    'softplus': tf.nn.softplus,
    'relu': tf.nn.relu,
}


class PatchNetwork:
    """Turns the diffraction amplitudes of a group of frames into patches of the object.

    Attributes:
        convolutions: Keras' layers by the names that their weights have in a model file.
        others: Keras' variables of all other weights, by name: the intensity and the probe, where
            they are trained.
    """

    def __init__(self, config: ModelConfig, frame_size: int, modes: int, weights: Weights) -> None:
        """Build the network.

        Args:
            config: its shape.
            frame_size: side N of a frame.
            modes: of the probe.
            weights: its first ones.

        Raises:
            ModelMismatchError: names or shapes of the weights are not those of this network.
        """
        self.config = config
        self.frame_size = frame_size
        self.convolutions: dict[str, Any] = {}
        self.others: dict[str, Any] = {}
        shapes = weight_shapes(config, frame_size, modes)
        for name, shape in shapes.items():
            if name.endswith('.weight'):
                self._convolution(name.removesuffix('.weight'), shape)
            elif not name.endswith('.bias'):
                self.others[name] = keras.Variable(np.zeros(shape, np.float32))
        self.set_weights(checked(weights, shapes))

    def __call__(self, amplitudes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Map normalised amplitudes to patches of the object.

        Args:
            amplitudes: float32 (b, C, N, N), zero frequency at N//2.

        Returns:
            Patches complex64 (b * C, N, N), or (b, N, N) where a group gives one only, and the
            greatest value of each channel behind a ReLU, float32 (channels,).
        """
        peaks: list[tf.Tensor] = []
        x = tf.transpose(amplitudes, (0, 2, 3, 1))
        for block in range(len(encoder_filters(self.config, self.frame_size))):
            x = tf.nn.max_pool2d(self._block(f'encoder.{block}', x, peaks), 2, 2, 'VALID')
        size = self.config.probe_scale
        amplitude = self._decoded(
            DECODERS[0], x, peaks, lambda y: size * _ACTIVATIONS[self.config.amp_activation](y)
        )
        phase = self._decoded(DECODERS[1], x, peaks, lambda y: math.pi * tf.tanh(y))
        patches = tf.complex(amplitude * tf.cos(phase), amplitude * tf.sin(phase))
        flat = tf.reshape(tf.transpose(patches, (0, 3, 1, 2)), (-1, *patches.shape[1:3]))
        return flat, tf.concat(peaks, 0)

    def probe(self, given: tf.Tensor) -> tf.Tensor:
        """Return the probe where it is trained, else the given one, complex64 (modes, N, N)."""
        if PROBE_REAL not in self.others:
            return given
        return tf.complex(self.others[PROBE_REAL].value, self.others[PROBE_IMAG].value)

    def intensity(self) -> tf.Tensor:
        """Return the factor of the predicted counts, float32 scalar."""
        return tf.exp(self.others[INTENSITY].value[0]) if INTENSITY in self.others else 1.0

    def weights(self) -> Weights:
        """Return copies of the weights as NumPy arrays, named and ordered as in a model file."""
        found: Weights = {}
        for name, layer in self.convolutions.items():
            kernel = layer.kernel.numpy().transpose(_FROM_KERAS)
            found[f'{name}.weight'] = np.array(kernel, np.float32, order='C')
            found[f'{name}.bias'] = np.array(layer.bias.numpy(), np.float32)
        for name, variable in self.others.items():
            found[name] = np.array(variable.numpy(), np.float32)
        return found

    def set_weights(self, weights: Weights) -> None:
        """Take over weights, named and ordered as in a model file."""
        for name, layer in self.convolutions.items():
            layer.kernel.assign(weights[f'{name}.weight'].transpose(_TO_KERAS))
            layer.bias.assign(weights[f'{name}.bias'])
        for name, variable in self.others.items():
            variable.assign(weights[name])

    def variables(self) -> list[Any]:
        """Return Keras' variables, in the order of the layers."""
        convolutions = [one for layer in self.convolutions.values() for one in layer.weights]
        return [*convolutions, *self.others.values()]

    def probe_variables(self) -> list[Any]:
        """Return those of the probe, none where it is not trained."""
        return [one for name, one in self.others.items() if name in (PROBE_REAL, PROBE_IMAG)]

    def _convolution(self, name: str, shape: tuple[int, ...]) -> None:
        layer = keras.layers.Conv2D(shape[0], shape[2:], padding='same')
        layer.build((None, None, None, shape[1]))
        self.convolutions[name] = layer

    def _block(self, name: str, x: tf.Tensor, peaks: list[tf.Tensor]) -> tf.Tensor:
        """Run two convolutions; note the peaks of their channels."""
        for index in (0, 1):
            x = tf.nn.relu(self.convolutions[f'{name}.{index}'](x))
            peaks.append(tf.reduce_max(x, (0, 1, 2)))
        return x

    def _decoded(
        self,
        part: str,
        x: tf.Tensor,
        peaks: list[tf.Tensor],
        activation: Callable[[tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        """Run a decoder; return (b, N, N, C or 1), the border 0 where nothing fills it."""
        for block in range(len(decoder_filters(self.config, self.frame_size))):
            x = _twice_as_fine(self._block(f'{part}.{block}', x, peaks))
        head, border = self.convolutions[f'{part}.head'], self.convolutions.get(f'{part}.border')
        quarter = self.frame_size // 4 if self.config.pad_object else 0
        margins = ((0, 0), (quarter, quarter), (quarter, quarter), (0, 0))
        if border is None:
            return tf.pad(activation(head(x)), margins)
        inner = head(x[..., :-BORDER_CHANNELS])
        outer = border(_twice_as_fine(x[..., -BORDER_CHANNELS:]))
        around = tf.pad(tf.zeros_like(inner), margins, constant_values=1)
        return activation(tf.pad(inner, margins) + outer * around)


def _twice_as_fine(x: tf.Tensor) -> tf.Tensor:
    """Repeat every pixel of (b, h, w, c) in both directions."""
    return tf.image.resize(x, (2 * x.shape[1], 2 * x.shape[2]), 'nearest')
