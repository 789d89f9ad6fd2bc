"""Weights that a training goes on from, of a model that was trained before."""

from __future__ import annotations

from collections.abc import Sequence

from ptychopinn_plugin.config import ModelConfig
from ptychopinn_plugin.config.architectures import ARCHITECTURES
from ptychopinn_plugin.config.unused_fields import without_unused
from ptychopinn_plugin.errors import ModelMismatchError
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.networks.weight_arrays import Weights
from ptychopinn_plugin.scan import ScanData


def initial_model_weights(
    initial: TrainedModel | None, model: ModelConfig, scans: Sequence[ScanData]
) -> Weights | None:
    """Return the weights that a training goes on from, None where it begins with its own.

    Args:
        initial: trained before; None for none.
        model: the network that is trained.
        scans: that it is trained on.

    Raises:
        ModelMismatchError: the initial model is of another network, or for frames of another size.
    """
    if initial is None:
        return None
    manifest = initial.manifest
    wanted, found = (
        without_unused(one, one.architecture).model_dump() for one in (model, manifest.model)
    )
    differing = [
        f'{name} {found[name]} instead of {value}'
        for name, value in wanted.items()
        # Whether a size was asked for is no part of the network.
        if name != 'frame_size' and found[name] != value
    ]
    if differing:
        raise ModelMismatchError(
            f'the initial model is of another network ({", ".join(differing)}); leave these '
            'settings out, or train without it'
        )
    sizes = sorted({scan.frame_size for scan in scans} - {manifest.frame_size})
    if ARCHITECTURES[model.architecture].fixed_frame_size and sizes:
        size = manifest.frame_size
        raise ModelMismatchError(
            f'the initial model is for frames of {size} x {size} pixels and the scans have '
            f'{sizes[0]} a side; cut or bin them, or train without it'
        )
    return initial.weights
