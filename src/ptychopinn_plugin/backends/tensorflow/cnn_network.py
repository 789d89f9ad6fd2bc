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

from ptychopinn_plugin.backends.tensorflow.activations import silu
from ptychopinn_plugin.backends.tensorflow.weights import export_weights, import_weights
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.config.execution import Precision
from ptychopinn_plugin.networks.cnn.architecture import (
    BORDER_CHANNELS,
    INTENSITY,
    PROBE_IMAG,
    PROBE_REAL,
    decoder_filters,
    decoder_names,
    encoder_filters,
    is_last_convolution,
    weight_shapes,
)
from ptychopinn_plugin.networks.weight_arrays import Weights, check_weights

ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    'sigmoid': tf.sigmoid,
    'swish': silu,
    'softplus': tf.nn.softplus,
    'relu': tf.nn.relu,
}


class PatchNetwork:
    """Maps the diffraction amplitudes of groups to patches of the object.

    Attributes:
        convolutions: Keras' layers by the names that their weights have in a model file.
        others: Keras' variables of all other weights, by name: the intensity and the probe, where
            they are trained.
    """

    def __init__(self, model: ModelConfig, frame_size: int, modes: int, weights: Weights) -> None:
        """Build the network.

        Args:
            model: the architecture.
            frame_size: side N of a frame.
            modes: of the probe.
            weights: the initial ones.

        Raises:
            ModelMismatchError: names or shapes of the weights are not those of this network.
        """
        self.model = model
        self.frame_size = frame_size
        self.convolutions: dict[str, Any] = {}
        self.others: dict[str, Any] = {}
        self.shapes = weight_shapes(model, frame_size, modes)
        for name, shape in self.shapes.items():
            if name.endswith('.weight'):
                self._convolution(name.removesuffix('.weight'), shape)
            elif not name.endswith('.bias'):
                self.others[name] = keras.Variable(np.zeros(shape, np.float32))
        self.set_weights(weights)

    def __call__(self, inputs: tf.Tensor, peaks: list[tf.Tensor] | None = None) -> tf.Tensor:
        """Map normalised amplitudes to patches of the object.

        Args:
            inputs: float32 (b, C, N, N), zero frequency at N//2.
            peaks: receives the greatest value of each channel behind each ReLU, float32
                (channels,) each.

        Returns:
            complex64 (b * C, N, N), or (b, N, N) where a group gives one patch only.
        """
        # TensorFlow's convolutions on CPUs need the channels last.
        x = tf.transpose(inputs, (0, 2, 3, 1))
        for block in range(len(encoder_filters(self.model, self.frame_size))):
            x = tf.nn.max_pool2d(self.run_block(f'encoder.{block}', x, peaks), 2, 2, 'VALID')
        patches = self._complex_patches(x, peaks)
        return tf.reshape(tf.transpose(patches, (0, 3, 1, 2)), (-1, *patches.shape[1:3]))

    def current_probe(self, given: tf.Tensor) -> tf.Tensor:
        """Return the trained probe, or the given one, complex64 (modes, N, N)."""
        if PROBE_REAL not in self.others:
            return given
        return tf.complex(self.others[PROBE_REAL].value, self.others[PROBE_IMAG].value)

    def count_factor(self) -> tf.Tensor | float:
        """Return the trained factor of the predicted counts, 1 where it is not trained."""
        return tf.exp(self.others[INTENSITY].value[0]) if INTENSITY in self.others else 1.0

    def weights(self) -> Weights:
        """Return copies of the weights as NumPy arrays, named and ordered as in a model file."""
        others = {
            name: np.array(variable.numpy(), np.float32) for name, variable in self.others.items()
        }
        return {**export_weights(self.convolutions), **others}

    def set_weights(self, weights: Weights) -> None:
        """Set the weights, named and ordered as in a model file.

        Raises:
            ModelMismatchError: names or shapes are not those of this network.
        """
        import_weights(self.convolutions, check_weights(weights, self.shapes))
        for name, variable in self.others.items():
            variable.assign(weights[name])

    def set_precision(self, precision: Precision) -> None:
        """Set the precision of the convolutions but the last ones, before the first trace."""
        policy = 'mixed_bfloat16' if precision == 'bfloat16' else 'float32'
        for name, layer in self.convolutions.items():
            # Rounding of the last ones would be the object's.
            if not is_last_convolution(name):
                layer.dtype_policy = keras.DTypePolicy(policy)

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

    def run_block(self, name: str, x: tf.Tensor, peaks: list[tf.Tensor] | None) -> tf.Tensor:
        """Run two convolutions; append the peaks of their channels if a list is given."""
        for index in (0, 1):
            x = tf.nn.relu(self.convolutions[f'{name}.{index}'](x))
            if peaks is not None:
                # A channel that stays at 0 is dead, which indicates a collapse.
                peaks.append(tf.cast(tf.reduce_max(x, (0, 1, 2)), tf.float32))
        return x

    def _complex_patches(self, x: tf.Tensor, peaks: list[tf.Tensor] | None) -> tf.Tensor:
        """Run both decoders; return complex64 (b, N, N, C or 1)."""
        # The unit of the amplitude, no factor of the probe: a sigmoid with unit 2 begins at 1, an
        # empty sample.
        scale = self.model.probe_scale
        first, second = decoder_names(self.model)
        if self.model.output_form == 'real_imag':
            real, imag = (self._decode(part, x, peaks, tf.identity) for part in (first, second))
            return tf.complex(scale * real, scale * imag)
        activation = ACTIVATIONS[self.model.amp_activation]
        amplitude = scale * self._decode(first, x, peaks, activation)
        # Phases in (-pi, pi), as published.
        phase = math.pi * self._decode(second, x, peaks, tf.tanh)
        return tf.complex(amplitude * tf.cos(phase), amplitude * tf.sin(phase))

    def _decode(
        self,
        part: str,
        x: tf.Tensor,
        peaks: list[tf.Tensor] | None,
        activation: Callable[[tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        """Run a decoder; return (b, N, N, C or 1), 0 at an empty border."""
        # Convolutions first, so that the coarsest ones see the whole frame; the side doubles
        # afterwards.
        for block in range(len(decoder_filters(self.model, self.frame_size))):
            x = upsample(self.run_block(f'{part}.{block}', x, peaks))
        head, border = self.convolutions[f'{part}.head'], self.convolutions.get(f'{part}.border')
        quarter = self.frame_size // 4 if self.model.pad_object else 0
        margins = ((0, 0), (quarter, quarter), (quarter, quarter), (0, 0))
        # As published: without coarse channels the border stays 0 and is left out of the
        # stitching.
        if border is None:
            return tf.pad(activation(head(x)), margins)
        inner = head(x[..., :-BORDER_CHANNELS])
        outer = border(upsample(x[..., -BORDER_CHANNELS:]))
        # A tensor has no assignment to a part of it: the inner part and the border are summed.
        around = tf.pad(tf.zeros_like(inner), margins, constant_values=1)
        return activation(tf.pad(inner, margins) + outer * around)


def upsample(x: tf.Tensor) -> tf.Tensor:
    """Repeat every pixel of (b, h, w, c) in both directions."""
    return tf.image.resize(x, (2 * x.shape[1], 2 * x.shape[2]), 'nearest')
