"""Weights of Keras' convolutions as NumPy arrays, named and ordered as in a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptychopinn_plugin.networks.weight_arrays import Weights

# From the axes of a model file to those of Keras, and back; the same for transposed convolutions.
_TO_KERAS, _FROM_KERAS = (2, 3, 1, 0), (3, 2, 0, 1)


def export_weights(convolutions: Mapping[str, Any]) -> Weights:
    """Return copies of the kernels and biases of layers.

    Args:
        convolutions: Keras' layers by name.
    """
    found: Weights = {}
    for name, layer in convolutions.items():
        kernel = layer.kernel.numpy().transpose(_FROM_KERAS)
        found[f'{name}.weight'] = np.array(kernel, np.float32, order='C')
        found[f'{name}.bias'] = np.array(layer.bias.numpy(), np.float32)
    return found


def import_weights(convolutions: Mapping[str, Any], weights: Weights) -> None:
    """Set the kernels and biases of layers, names and shapes checked before."""
    for name, layer in convolutions.items():
        layer.kernel.assign(weights[f'{name}.weight'].transpose(_TO_KERAS))
        layer.bias.assign(weights[f'{name}.bias'])
