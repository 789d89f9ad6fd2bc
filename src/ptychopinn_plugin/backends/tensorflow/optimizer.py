"""The optimiser with the numbers that every backend uses, and accumulated gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.networks.learning_rate import WEIGHT_DECAY


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
        """Update one variable."""
        given = self.epsilon
        step = tf.cast(self.iterations + 1, variable.dtype)
        self.epsilon = given * tf.sqrt(1 - tf.pow(self.beta_2, step))
        super().update_step(gradient, variable, learning_rate)
        self.epsilon = given

    def _all_reduce_sum_gradients(
        self, grads_and_vars: Sequence[tuple[tf.Tensor, tf.Variable]]
    ) -> list[tuple[tf.Tensor, tf.Variable]]:
        """Return the gradients that there are: a training runs on one device.

        Keras' sum over devices has a gradient of its own, which TensorFlow registers for good, and
        with it the graph of the training.
        """
        return list(grads_and_vars)


def build_optimizer(
    execution: ExecutionConfig,
    variables: Sequence[Any],
    undecayed: Sequence[Any] = (),
) -> AdamW:
    """Return the optimiser of a training.

    Args:
        execution: greatest gradient and accumulated steps.
        variables: Keras' variables that are trained.
        undecayed: those of them that are no layers and do not decay to 0.
    """
    optimizer = AdamW(
        weight_decay=WEIGHT_DECAY,
        # PyTorch's default; Keras' is 1e-7.
        epsilon=1e-8,
        global_clipnorm=execution.gradient_clip_val or None,
        gradient_accumulation_steps=execution.accum_steps if execution.accum_steps > 1 else None,
    )
    optimizer.exclude_from_weight_decay(var_list=list(undecayed))
    optimizer.build(list(variables))
    return optimizer


def apply_pending_gradients(optimizer: AdamW, variables: Sequence[Any], missing: tf.Tensor) -> None:
    """Take a step with the gradients accumulated at the end of an epoch, the missing ones as 0.

    Args:
        optimizer: from `build_optimizer`.
        variables: what is trained.
        missing: int32 (), how many batches are missing to a full step; at least 1.
    """
    # Keras takes a step at every `accum_steps`-th call, counted by this variable.
    (batches,) = [one for one in optimizer.variables if one.name == 'iteration']
    batches.assign_add(missing - 1)
    optimizer.apply([tf.zeros_like(one.value) for one in variables], list(variables))
