"""The model file: one .safetensors file with a JSON manifest, the same for every backend."""

from ptychopinn_plugin.model_file.fingerprints import (
    data_fingerprint,
    probe_fingerprint,
    weights_fingerprint,
)
from ptychopinn_plugin.model_file.reading import load_model
from ptychopinn_plugin.model_file.types import SCALE_CONTRACT, Manifest, TrainedModel
from ptychopinn_plugin.model_file.writing import save_model

__all__ = [
    'SCALE_CONTRACT',
    'Manifest',
    'TrainedModel',
    'data_fingerprint',
    'load_model',
    'probe_fingerprint',
    'save_model',
    'weights_fingerprint',
]
