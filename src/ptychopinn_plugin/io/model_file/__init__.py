"""The model file: one .safetensors file with a JSON manifest, the same for every backend."""

from ptychopinn_plugin.io.model_file.fingerprints import (
    data_fingerprint,
    probe_fingerprint,
    weights_fingerprint,
)
from ptychopinn_plugin.io.model_file.load import load_model
from ptychopinn_plugin.io.model_file.manifest import (
    SCALE_CONTRACT,
    Manifest,
    TrainedModel,
    TrainingExample,
)
from ptychopinn_plugin.io.model_file.packaged import (
    EARLY_FILE,
    PACKAGED_FILE,
    early_model,
    packaged_model,
    resolve_model,
)
from ptychopinn_plugin.io.model_file.save import save_model, save_trained_model

__all__ = [
    'EARLY_FILE',
    'PACKAGED_FILE',
    'SCALE_CONTRACT',
    'Manifest',
    'TrainedModel',
    'TrainingExample',
    'data_fingerprint',
    'early_model',
    'load_model',
    'packaged_model',
    'probe_fingerprint',
    'resolve_model',
    'save_model',
    'save_trained_model',
    'weights_fingerprint',
]
