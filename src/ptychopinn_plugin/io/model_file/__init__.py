"""The model file: one .safetensors file with a JSON manifest, the same for every backend."""

from ptychopinn_plugin.io.model_file.fingerprints import (
    data_fingerprint,
    probe_fingerprint,
    weights_fingerprint,
)
from ptychopinn_plugin.io.model_file.load import load_model
from ptychopinn_plugin.io.model_file.manifest import SCALE_CONTRACT, Manifest, TrainedModel
from ptychopinn_plugin.io.model_file.save import save_model, save_trained_model

__all__ = [
    'SCALE_CONTRACT',
    'Manifest',
    'TrainedModel',
    'data_fingerprint',
    'load_model',
    'probe_fingerprint',
    'save_model',
    'save_trained_model',
    'weights_fingerprint',
]
