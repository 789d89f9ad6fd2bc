"""Write a model file."""

from __future__ import annotations

from pathlib import Path

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.errors import ModelFileError
from ptychopinn_plugin.io.model_file.fingerprints import probe_fingerprint, weights_fingerprint
from ptychopinn_plugin.io.model_file.manifest import TrainedModel
from ptychopinn_plugin.io.model_file.tensors import checksum, tensor_faults, to_tensors


def save_model(path: str | Path, model: TrainedModel) -> None:
    """Write a model to one .safetensors file, whole or not at all.

    The fingerprints of the weights and the probe are taken here.

    Args:
        path: the file, ending in .safetensors; an old one is replaced.
        model: the model.

    Raises:
        ModelFileError: the model holds something that could not be loaded again.
        OutputError: the file cannot be written there.
    """
    from safetensors.numpy import save_file

    path = Path(path)
    check_output(path, ('.safetensors',))
    tensors = to_tensors(model)
    faults = tensor_faults(tensors, model.manifest.frame_size)
    if faults:
        raise ModelFileError(f'{path} was not written: ' + '; '.join(faults))
    manifest = model.manifest.model_copy(
        update={
            'weights_fingerprint': weights_fingerprint(model),
            'probe_fingerprint': probe_fingerprint(model.probe),
        }
    ).model_dump_json()
    metadata = {'manifest': manifest, 'checksum': checksum(tensors, manifest)}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata)
