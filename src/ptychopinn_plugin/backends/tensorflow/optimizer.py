"""The optimiser with the numbers that every backend uses, and gradients that wait for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ptychopinn_plugin.backends.tensorflow.adamw import AdamW
from ptychopinn_plugin.config import ExecutionConfig
from ptychopinn_plugin.networks.learning_rate import WEIGHT_DECAY


def build_optimizer(
    execution: ExecutionConfig,
    variables: Sequence[Any],
    undecayed: Sequence[Any] = (),
) -> Any:  # noqa: ANN401  (Keras has no types)
    """Return the optimiser of a training.

    Args:
        execution: greatest gradient and gathered batches.
        variables: what is trained.
        undecayed: those of them that are no layers, so that no decay pulls them to 0.
    """
    optimizer = AdamW(
        weight_decay=WEIGHT_DECAY,
        epsilon=1e-8,
        global_clipnorm=execution.gradient_clip_val or None,
        gradient_accumulation_steps=execution.accum_steps if execution.accum_steps > 1 else None,
    )
    optimizer.exclude_from_weight_decay(var_list=list(undecayed))
    optimizer.build(list(variables))
    return optimizer


def apply_pending_gradients(optimizer: Any, variables: Sequence[Any], missing: tf.Tensor) -> None:  # noqa: ANN401
    """Follow gradients that wait for others at the end of an epoch, as if those were 0.

    Args:
        optimizer: from `build_optimizer`.
        variables: what is trained.
        missing: int32 (), how many batches a step still lacks; at least 1.
    """
    (batches,) = [one for one in optimizer.variables if one.name == 'iteration']
    batches.assign_add(missing - 1)
    optimizer.apply([tf.zeros_like(one.value) for one in variables], list(variables))
