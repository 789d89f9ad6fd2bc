"""Read a model file strictly; nothing in it is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from ptychopinn_plugin.errors import ModelFileError, printable_line
from ptychopinn_plugin.io.json_text import parse_json
from ptychopinn_plugin.io.model_file.fingerprints import weights_fingerprint
from ptychopinn_plugin.io.model_file.manifest import (
    FORMAT_VERSION,
    SCALE_CONTRACT,
    Manifest,
    TrainedModel,
    is_version,
    writer_name,
)
from ptychopinn_plugin.io.model_file.tensors import WEIGHTS, checksum, tensor_faults
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.regular_file import why_not_a_file

# First bytes of files that are not opened, for some of them can run code.
_FOREIGN = (
    (b'PK\x03\x04', 'a zip archive, as PyTorch (.pt, .ckpt) and Keras (.keras) write'),
    (b'\x80', 'a Python pickle'),
    (b'\x89HDF\r\n\x1a\n', 'an HDF5 file, as Keras and Ptychodus write'),
)


def load_model(path: str | Path) -> TrainedModel:
    """Read a model file and check all of it.

    Args:
        path: a .safetensors file that `save_model` wrote, by whichever backend it was trained.

    Returns:
        The model; its fingerprints are those of its arrays.

    Raises:
        ModelFileError: no such file, another kind of file, a file cut short or changed, one of
            another format version, or one that holds something it should not.
    """
    path = Path(path)
    _refuse_other_kinds(path)
    with reading(ModelFileError, f'{path} cannot be read as a model'):
        return _load(path)


def _load(path: Path) -> TrainedModel:
    tensors, metadata = _read(path)
    manifest = _manifest(path, metadata)
    faults = tensor_faults(tensors, manifest.frame_size)
    if faults:
        raise ModelFileError(f'{path} is not a complete model: ' + '; '.join(faults))
    if metadata.get('checksum') != checksum(tensors, metadata['manifest']):
        raise ModelFileError(f'{path} has been changed or damaged: its checksum does not agree')
    probe = tensors['probe']
    model = TrainedModel(
        weights={n.removeprefix(WEIGHTS): a for n, a in tensors.items() if n.startswith(WEIGHTS)},
        probe=(probe[..., 0] + 1j * probe[..., 1]).astype(np.complex64),
        losses=tensors['losses'],
        manifest=manifest,
    )
    if manifest.weights_fingerprint != weights_fingerprint(model):
        raise ModelFileError(f'{path}: the weights are not those that the manifest speaks of')
    return model


def _refuse_other_kinds(path: Path) -> None:
    if not path.exists():
        raise ModelFileError(f'there is no model file {path}')
    if path.is_dir():
        raise ModelFileError(f'{path} is a folder; give a .safetensors file')
    if fault := why_not_a_file(path):
        raise ModelFileError(fault)
    try:
        with path.open('rb') as file:
            head = file.read(16)
    except OSError as error:
        raise ModelFileError(f'{path} cannot be read: {error.strerror}') from error
    # Bytes 0 to 7 of the format are the header's length, byte 8 opens its JSON.
    if head[8:9] == b'{':
        return
    for magic, kind in _FOREIGN:
        if head.startswith(magic):
            raise ModelFileError(
                f'{path} is {kind}; it is not opened, because such files can run code. '
                'Give a .safetensors file written by ptychopinn train. A model of PtychoPINN '
                'itself is trained again in one command, `ptychopinn train SCAN.npz --architecture '
                'cnn --model NEW.safetensors`, see docs/differences-to-ptychopinn.md'
            )
    raise ModelFileError(
        f'{path} is not a .safetensors file (its first bytes are {head[:8].hex(" ") or "none"})'
    )


def _read(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    from safetensors import safe_open

    what = f'{path} is not a whole .safetensors file; was it cut short while it was copied?'
    with reading(ModelFileError, what), safe_open(path, framework='numpy') as file:
        metadata = file.metadata() or {}
        names = file.keys()  # the file itself cannot be iterated over
        return {name: file.get_tensor(name) for name in names}, metadata


def _manifest(path: Path, metadata: dict[str, str]) -> Manifest:
    what = f'{path} is a .safetensors file without the manifest that ptychopinn train writes'
    with reading(ModelFileError, what):
        fields = parse_json(metadata['manifest'])
        if not isinstance(fields, dict) or 'format_version' not in fields:
            raise ModelFileError(what)
    version, package = fields['format_version'], fields.get('package_version')
    if version != FORMAT_VERSION:
        advice = ''
        if is_version(package):
            advice = f". Install it with: pip install 'ptychopinn-plugin=={package}'"
        raise ModelFileError(
            f'{path} has model format {printable_line(repr(version), 40)} and was written by '
            f'{writer_name(package)}; this version reads format '
            f'{FORMAT_VERSION}{advice}'
        )
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        faults = '; '.join(
            f'{".".join(map(str, f["loc"]))}: {f["msg"]}' for f in error.errors(include_url=False)
        )
        raise ModelFileError(
            f'the manifest of {path}, written by {writer_name(package)}, is not one that this '
            f'version knows: {faults}'
        ) from error
    if manifest.scale_contract != SCALE_CONTRACT:
        raise ModelFileError(
            f'{path} was trained on another scale of the data: {manifest.scale_contract!r}'
        )
    return manifest
