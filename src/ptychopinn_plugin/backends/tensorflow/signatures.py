"""Batches as arguments of compiled functions: one signature, whatever the size of a batch."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from ptychopinn_plugin.networks.cnn.batch_loss import BatchTensors
from ptychopinn_plugin.networks.cnn.dataset import GroupBatch

# Arrays or tensors by the names of `BatchTensors`.
Arrays: TypeAlias = dict[str, Any]


def batch_arrays(batch: GroupBatch) -> Arrays:
    """Return the arrays of a batch; those that are None are left out."""
    return {
        field.name: np.asarray(value)
        for field in dataclasses.fields(batch)
        if field.name in BatchTensors._fields and (value := getattr(batch, field.name)) is not None
    }


def batch_signature(arrays: Arrays) -> dict[str, tf.TensorSpec]:
    """Return the signature of compiled functions, for any number of groups and of modes."""
    return {
        name: tf.TensorSpec(
            value.shape if name in ('good', 'canvas_shape') else (None, *value.shape[1:]),
            value.dtype,
        )
        for name, value in arrays.items()
    }
