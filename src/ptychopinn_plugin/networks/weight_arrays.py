"""Weights outside any framework: names, shapes and their check."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ModelMismatchError

# Names are those of the PyTorch network's parameters, and so are the axes: (out, in, row, column)
# for a convolution, (in, out, row, column) for a transposed one.
Weights = dict[str, npt.NDArray[np.float32]]
Shapes = Mapping[str, tuple[int, ...]]


def check_weights(weights: Weights, expected: Shapes) -> Weights:
    """Return weights whose names and shapes are exactly the expected ones.

    Raises:
        ModelMismatchError: names or shapes differ.
    """
    found = {name: value.shape for name, value in weights.items()}
    if expected != found:
        raise ModelMismatchError(_describe_difference(expected, found))
    return weights


def _describe_difference(expected: Shapes, found: Shapes) -> str:
    """Return the error message for weights that differ from the expected ones."""
    faults = [f'{name} is missing' for name in sorted(expected.keys() - found.keys())]
    faults += [f'{name} is not known' for name in sorted(found.keys() - expected.keys())]
    faults += [
        f'{name} has shape {found[name]}, needed is {expected[name]}'
        for name in sorted(expected.keys() & found.keys())
        if expected[name] != found[name]
    ]
    return 'the weights do not fit the network that the manifest describes: ' + '; '.join(faults)
