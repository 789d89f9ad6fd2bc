"""The optimiser with the numbers that every backend uses."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ptychopinn_plugin.networks.cnn.architecture import INTENSITY, PROBE_IMAG, PROBE_REAL
from ptychopinn_plugin.networks.learning_rate import WEIGHT_DECAY

# Decay would pull these physical quantities, the probe to 0 and the photon scale to 1.
UNDECAYED = (INTENSITY, PROBE_REAL, PROBE_IMAG)


def build_optimizer(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Return the optimiser of a training.

    Args:
        network: is trained; its probe and intensity are no layers and do not decay to 0.
        learning_rate: the first one; a schedule sets it before each step.
    """
    named = dict(network.named_parameters())
    layers = [value for name, value in named.items() if name not in UNDECAYED]
    others = [value for name, value in named.items() if name in UNDECAYED]
    groups: list[dict[str, Any]] = [{'params': layers}]
    if others:
        groups.append({'params': others, 'weight_decay': 0.0})
    return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=WEIGHT_DECAY)
