"""A learned stage at work in TensorFlow: network, trust, weights in and out."""

from __future__ import annotations

import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.ops import TensorFlowOps
from ptychopinn_plugin.backends.tensorflow.unrolled_network import StageNetwork
from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.networks.unrolled.dose_gate import DoseGate
from ptychopinn_plugin.networks.unrolled.features import StageInput, compute_features, mean_log10_dose
from ptychopinn_plugin.networks.weights import Weights, parted


class LearnedStage:
    """Changes an object as the network asks, as far as it is trusted at the scan's dose.

    Attributes:
        network: the network.
        trust: by dose.
    """

    def __init__(self, ops: TensorFlowOps, network: StageNetwork, trust: DoseGate) -> None:
        self.ops = ops
        self.network = network
        self.trust = trust
        # Canvases come in many shapes; one graph serves them all.
        self._compiled = tf.function(self.changed, autograph=False, reduce_retracing=True)

    def __call__(
        self, canvas_object: tf.Tensor, direction: tf.Tensor, dose: tf.Tensor
    ) -> tf.Tensor:
        """Return the changed object, complex64 (H, W).

        Args:
            canvas_object: complex64 (H, W).
            direction: complex64 (H, W), preconditioned gradient image.
            dose: float32 (H, W), photons an object pixel.
        """
        factor = self.trust.at(mean_log10_dose(self.ops, dose))
        if factor == 0:
            return canvas_object
        return self.updated(StageInput(canvas_object, direction, dose), factor=factor)

    def updated(self, before: StageInput, *, factor: float = 1.0) -> tf.Tensor:
        """Return the object after the network's update times a factor."""
        return self._compiled(
            before.canvas_object,
            before.direction,
            before.dose,
            tf.constant(factor, tf.float32),
            tf.constant(0),
        )

    def changed(
        self,
        canvas_object: tf.Tensor,
        direction: tf.Tensor,
        dose: tf.Tensor,
        factor: tf.Tensor,
        symmetry: tf.Tensor,
    ) -> tf.Tensor:
        """Return the object after the network's update, for use in compiled functions.

        Args:
            canvas_object: complex64 (H, W).
            direction: complex64 (H, W).
            dose: float32 (H, W).
            factor: of the update, float32 scalar.
            symmetry: 0 to 7, the symmetry of the square that the network sees the planes in.
        """
        planes = compute_features(self.ops, canvas_object, direction, dose)
        inputs = turned(tf.stack(planes.inputs, axis=-1)[None], symmetry)
        outputs = undo_symmetry(self.network(inputs), symmetry)[0] * factor
        return planes.updated(self.ops, canvas_object, (outputs[..., 0], outputs[..., 1]))

    def traces(self) -> int:
        """Return how many times the compiled update was traced so far."""
        count: int = self._compiled.experimental_get_tracing_count()
        return count

    @classmethod
    def from_weights(
        cls, ops: TensorFlowOps, config: ModelConfig, weights: Weights
    ) -> LearnedStage:
        """Build a stage from a model's weights, every name and shape checked.

        Raises:
            ModelMismatchError: names or shapes are not those of the config's network.
        """
        network = StageNetwork(config)
        needed = {name: value.shape for name, value in network.weights().items()}
        own, trust = parted(weights, needed)
        network.set_weights(own)
        return cls(ops, network, trust)


def turned(planes: tf.Tensor, symmetry: tf.Tensor) -> tf.Tensor:
    """Apply one of the 8 symmetries of the square to (b, H, W, planes)."""
    planes = tf.image.rot90(planes, symmetry % 4)
    return tf.cond(symmetry >= 4, lambda: tf.reverse(planes, (2,)), lambda: planes)


def undo_symmetry(planes: tf.Tensor, symmetry: tf.Tensor) -> tf.Tensor:
    """Undo `turned`."""
    planes = tf.cond(symmetry >= 4, lambda: tf.reverse(planes, (2,)), lambda: planes)
    return tf.image.rot90(planes, -symmetry % 4)
