"""Write a model file."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from ptychopinn_plugin.atomic import check_output, replacing
from ptychopinn_plugin.errors import ModelFileError, OutputError
from ptychopinn_plugin.io.model_file.fingerprints import probe_fingerprint, weights_fingerprint
from ptychopinn_plugin.io.model_file.manifest import TrainedModel
from ptychopinn_plugin.io.model_file.tensors import checksum, tensor_faults, to_tensors

logger = logging.getLogger(__name__)

# Characters of a model's name that the name of its dated copy repeats.
REPEATED_CHARACTERS = 50


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

    A model that is there already is kept, under its name with the time of its last change.

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
        _keep_earlier_model(Path(path))
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


def _keep_earlier_model(path: Path) -> None:
    """Copy a model that is about to be replaced beside it, with the time of its last change."""
    if not path.is_file():
        return
    changed = datetime.fromtimestamp(path.stat().st_mtime)
    name = f'{path.stem[:REPEATED_CHARACTERS]}-{changed:%Y%m%d-%H%M%S}{path.suffix}'
    with path.open('rb') as source, replacing(path.with_name(name)) as file:
        shutil.copyfileobj(source, file)
    logger.info('%s held an earlier model, which is now %s', path, name)
