"""The network of the `cnn` architecture that corrects patches, in Keras on TensorFlow.

A U-Net: Ronneberger, Fischer and Brox, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.
"""

from __future__ import annotations

import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.cnn_network import PatchNetwork, upsample
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.cnn.architecture import (
    CORRECTION_DECODER,
    corrects,
    decoder_filters,
    encoder_filters,
)
from ptychopinn_plugin.networks.weight_arrays import Weights


class CorrectionNetwork(PatchNetwork):
    """Maps patches that a step of physics gives to corrected ones."""

    def __call__(self, inputs: tf.Tensor, peaks: list[tf.Tensor] | None = None) -> tf.Tensor:
        """Add the network's correction to patches, at their central half with `pad_object`.

        Args:
            inputs: float32 (n, 2, N, N), real and imaginary part, less those of an empty sample.
            peaks: receives the greatest value of each channel behind each ReLU, float32
                (channels,) each.

        Returns:
            complex64 (n, N, N).
        """
        margin = self.frame_size // 4 if self.model.pad_object else 0
        inner = slice(margin, self.frame_size - margin)
        # TensorFlow's convolutions on CPUs need the channels last.
        x = tf.transpose(inputs[:, :, inner, inner], (0, 2, 3, 1))
        margins = ((0, 0), (0, 0), (margin, margin), (margin, margin))
        correction = tf.transpose(self._correction(x, peaks), (0, 3, 1, 2))
        change = inputs + tf.pad(correction, margins)
        return tf.complex(1 + change[:, 0], change[:, 1])

    def _correction(self, x: tf.Tensor, peaks: list[tf.Tensor] | None) -> tf.Tensor:
        """Return real and imaginary part of the correction, float32 (n, h, w, 2)."""
        x = self.run_block('encoder.0', x, peaks)
        skipped: list[tf.Tensor] = []
        for block in range(1, len(encoder_filters(self.model, self.frame_size))):
            skipped.append(x)
            pooled = tf.nn.max_pool2d(x, 2, 2, 'VALID')
            x = self.run_block(f'encoder.{block}', pooled, peaks)
        for block in range(len(decoder_filters(self.model, self.frame_size))):
            joined = tf.concat([upsample(x), skipped.pop()], 3)
            x = self.run_block(f'{CORRECTION_DECODER}.{block}', joined, peaks)
        return self.convolutions[f'{CORRECTION_DECODER}.head'](x)


def build_network(
    model: ModelConfig, frame_size: int, modes: int, weights: Weights
) -> PatchNetwork:
    """Return the network that a config describes, see `PatchNetwork`."""
    network = CorrectionNetwork if corrects(model) else PatchNetwork
    return network(model, frame_size, modes, weights)
