"""The models that the package brings."""

from __future__ import annotations

import functools
from pathlib import Path

from ptychopinn_plugin.config.model_names import MODEL_NAMES, PACKAGED
from ptychopinn_plugin.io.model_file.load import load_model
from ptychopinn_plugin.io.model_file.manifest import TrainedModel

PACKAGED_FILE = Path(__file__).with_name('unrolled.safetensors')
EARLY_FILE = Path(__file__).with_name('early.safetensors')


@functools.cache
def packaged_model() -> TrainedModel:
    """Return the model of the package: `unrolled`, trained on simulated scans of many kinds."""
    return load_model(PACKAGED_FILE)


@functools.cache
def early_model() -> TrainedModel:
    """Return the package's network for objects after the second pass, see `early_network`."""
    return load_model(EARLY_FILE)


def resolve_model(model: TrainedModel | str | Path | None) -> TrainedModel | None:
    """Return a model by what a caller gave; None for physics alone.

    Args:
        model: a model, its file, 'packaged' for the one of the package, 'none' or None for none.

    Raises:
        ModelFileError: the model's file cannot be read.
    """
    if model is None or isinstance(model, TrainedModel):
        return model
    if str(model) in MODEL_NAMES:
        return packaged_model() if str(model) == PACKAGED else None
    return load_model(model)
