"""BatchSequence of groups as TensorFlow takes them: one signature, whatever the size of a batch."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from ptychopinn_plugin.networks.cnn.dataset import GroupBatch
from ptychopinn_plugin.scan import ScanData

# Arrays or tensors by name: those of a `GroupBatch` and of the scan that it is of.
Fields: TypeAlias = dict[str, Any]


def fields_of(batch: GroupBatch, scan: ScanData) -> Fields:
    """Return the arrays of a batch, and the probe and the good pixels of its scan."""
    arrays = {
        field.name: np.asarray(value)
        for field in dataclasses.fields(batch)
        if field.name not in ('positions_px', 'scan')
        and (value := getattr(batch, field.name)) is not None
    }
    good = np.fft.ifftshift(~scan.mask).astype(np.float32)
    return {**arrays, 'probe': scan.probe, 'good': good}


def signature_of(fields: Fields) -> dict[str, tf.TensorSpec]:
    """Return what compiled functions expect: the number of groups and of modes is left open."""
    return {
        name: tf.TensorSpec(
            value.shape if name in ('good', 'canvas_shape') else (None, *value.shape[1:]),
            value.dtype,
        )
        for name, value in fields.items()
    }
