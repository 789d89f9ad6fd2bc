"""A learned stage in TensorFlow: features, network, gate."""

from __future__ import annotations

import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.unrolled_network import StageNetwork
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate, split_gate
from ptychopinn_plugin.networks.unrolled.features import (
    StageInput,
    compute_features,
    mean_log10_dose,
)
from ptychopinn_plugin.networks.weight_arrays import Weights


class LearnedStage:
    """Updates an object by a network, times the gate's factor at the dose of the scan.

    Attributes:
        network: the network.
        gate: by dose.
    """

    def __init__(self, ops: TensorFlowOps, network: StageNetwork, gate: DoseGate) -> None:
        self.ops = ops
        self.network = network
        self.gate = gate
        # Canvases come in many shapes; one graph serves them all.
        self._compiled = tf.function(self.compute_update, autograph=False, reduce_retracing=True)

    def __call__(
        self, canvas_object: tf.Tensor, direction: tf.Tensor, dose: tf.Tensor
    ) -> tf.Tensor:
        """Return the updated object, complex64 (H, W).

        Args:
            canvas_object: complex64 (H, W).
            direction: complex64 (H, W), preconditioned gradient image.
            dose: float32 (H, W), photons an object pixel.
        """
        factor = self.gate.factor_at(mean_log10_dose(self.ops, dose))
        if factor == 0:
            return canvas_object
        return self.update_object(StageInput(canvas_object, direction, dose), factor=factor)

    def update_object(
        self, before: StageInput, *, factor: float = 1.0, symmetry: int = 0
    ) -> tf.Tensor:
        """Return the object after the network's update.

        Args:
            before: the object, its gradient image and its dose.
            factor: of the update.
            symmetry: 0 to 7, the symmetry of the square that is applied to the network's input.
        """
        return self._compiled(
            before.canvas_object,
            before.direction,
            before.dose,
            tf.constant(factor, tf.float32),
            tf.constant(symmetry),
        )

    def compute_update(
        self,
        canvas_object: tf.Tensor,
        direction: tf.Tensor,
        dose: tf.Tensor,
        factor: tf.Tensor,
        symmetry: tf.Tensor,
    ) -> tf.Tensor:
        """Return the object after the network's update, within a compiled function.

        Args:
            canvas_object: complex64 (H, W).
            direction: complex64 (H, W).
            dose: float32 (H, W).
            factor: of the update, float32 scalar.
            symmetry: int32 scalar, see `update_object`.
        """
        features = compute_features(self.ops, canvas_object, direction, dose)
        inputs = apply_symmetry(tf.stack(features.channels, axis=-1)[None], symmetry)
        outputs = undo_symmetry(self.network(inputs), symmetry)[0] * factor
        return features.update_object(self.ops, canvas_object, (outputs[..., 0], outputs[..., 1]))

    def traces(self) -> int:
        """Return how many times the compiled update was traced so far."""
        count: int = self._compiled.experimental_get_tracing_count()
        return count

    @classmethod
    def from_weights(
        cls, ops: TensorFlowOps, config: ModelConfig, weights: Weights
    ) -> LearnedStage:
        """Build a stage from the arrays of a model file.

        Raises:
            ModelMismatchError: names or shapes are not those of the config's network.
        """
        network = StageNetwork(config)
        expected = {name: value.shape for name, value in network.weights().items()}
        own, gate = split_gate(weights, expected)
        network.set_weights(own)
        return cls(ops, network, gate)


def apply_symmetry(images: tf.Tensor, symmetry: tf.Tensor) -> tf.Tensor:
    """Apply one of the 8 symmetries of the square to (b, H, W, channels)."""
    images = tf.image.rot90(images, symmetry % 4)
    return tf.cond(symmetry >= 4, lambda: tf.reverse(images, (2,)), lambda: images)


def undo_symmetry(images: tf.Tensor, symmetry: tf.Tensor) -> tf.Tensor:
    """Apply the inverse of `apply_symmetry`."""
    images = tf.cond(symmetry >= 4, lambda: tf.reverse(images, (2,)), lambda: images)
    return tf.image.rot90(images, -symmetry % 4)
