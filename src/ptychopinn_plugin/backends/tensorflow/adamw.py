"""AdamW with the numbers of every backend."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW whose epsilon is that of the paper, and so of PyTorch.

    Keras adds epsilon before it corrects the second moment for its start at zero, which makes it
    30 times larger in the first step: weights with small gradients would learn at another pace
    (Kingma and Ba, ICLR 2015, doi:10.48550/arXiv.1412.6980, end of section 2).
    """

    epsilon: Any

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Change one variable."""
        given = self.epsilon
        step = tf.cast(self.iterations + 1, variable.dtype)
        self.epsilon = given * tf.sqrt(1 - tf.pow(self.beta_2, step))
        super().update_step(gradient, variable, learning_rate)
        self.epsilon = given
