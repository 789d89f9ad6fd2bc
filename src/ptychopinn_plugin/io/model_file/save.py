"""Write a model file."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.errors import ModelFileError, OutputError
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
    from safetensors.numpy import save

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
    with replacing(path) as file:
        file.write(save(tensors, metadata))


def save_trained_model(path: str | Path, model: TrainedModel) -> None:
    """Write a model after its training; where that fails, write it elsewhere for the time being.

    A training may have taken hours, and its model is only in memory. The other places are the
    temporary folder and the home folder.

    Args:
        path: as for `save_model`.
        model: the model.

    Raises:
        ModelFileError: as `save_model`.
        OutputError: the file cannot be written there; it says where the model is instead.
    """
    try:
        save_model(path, model)
    except OutputError as error:
        name = f'{Path(path).stem}-{secrets.token_hex(4)}.safetensors'
        for folder in (Path(tempfile.gettempdir()), Path.home()):
            try:
                save_model(folder / name, model)
            except OutputError:
                continue
            raise OutputError(f'{error}; the model was saved as {folder / name} instead') from error
        raise
