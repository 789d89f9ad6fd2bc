"""Weights of PyTorch modules as NumPy arrays, named and ordered as in a model file."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ptychopinn_plugin.networks.weight_arrays import Weights


def export_weights(module: nn.Module) -> Weights:
    """Return copies of a module's weights."""
    return {
        name: np.array(value.detach().cpu().numpy(), np.float32, order='C')
        for name, value in module.state_dict().items()
    }


def import_weights(module: nn.Module, weights: Weights) -> None:
    """Set a module's weights, names and shapes checked before."""
    module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
