"""Weights outside any framework: their names, their shapes, and what goes with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.networks.unrolled.dose_gate import Trust

# Names are those of the PyTorch network's parameters, and so are the axes: (out, in, row, column)
# for a convolution, (in, out, row, column) for a transposed one.
Weights = dict[str, npt.NDArray[np.float32]]
Shapes = Mapping[str, tuple[int, ...]]
TRUST_NAME = 'trust.factor'


def joined(weights: Weights, trust: Trust) -> Weights:
    """Return what a model file holds: a network's weights and its trust."""
    return {**weights, TRUST_NAME: trust.factor}


def parted(weights: Weights, needed: Shapes) -> tuple[Weights, Trust]:
    """Return a model file's weights of the network, every name and shape checked, and its trust.

    Args:
        weights: all that the file holds.
        needed: the shapes of the network's weights.

    Raises:
        ModelMismatchError: names or shapes are not those of the network.
    """
    checked(weights, {**needed, TRUST_NAME: Trust.full().factor.shape})
    network = {name: value for name, value in weights.items() if name != TRUST_NAME}
    return network, Trust(weights[TRUST_NAME])


def checked(weights: Weights, needed: Shapes) -> Weights:
    """Return weights whose names and shapes are exactly those that a network needs.

    Raises:
        ModelMismatchError: they are not.
    """
    found = {name: value.shape for name, value in weights.items()}
    if needed != found:
        raise ModelMismatchError(_difference(needed, found))
    return weights


def _difference(needed: Shapes, found: Shapes) -> str:
    """Say how weights differ from those that a network needs."""
    faults = [f'{name} is missing' for name in sorted(needed.keys() - found.keys())]
    faults += [f'{name} is not known' for name in sorted(found.keys() - needed.keys())]
    faults += [
        f'{name} has shape {found[name]}, needed is {needed[name]}'
        for name in sorted(needed.keys() & found.keys())
        if needed[name] != found[name]
    ]
    return 'the weights do not fit the network that the manifest describes: ' + '; '.join(faults)
