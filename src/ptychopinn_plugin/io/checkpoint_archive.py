"""The checkpoint of a reconstruction: one .npz file with its state, and what it belongs to."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter

from ptychopinn_plugin import __version__
from ptychopinn_plugin.atomic import replacing
from ptychopinn_plugin.config import Backend, Config, InferenceConfig
from ptychopinn_plugin.errors import CheckpointError, ScanDataError
from ptychopinn_plugin.io.json_text import parse_json
from ptychopinn_plugin.io.model_file.fingerprints import fingerprint
from ptychopinn_plugin.io.npz_archive import NpzArchive
from ptychopinn_plugin.io.reading_errors import reading
from ptychopinn_plugin.io.regular_file import why_not_a_file
from ptychopinn_plugin.saved_state import SavedState, Value
from ptychopinn_plugin.scan import ScanData

HEADER, VALUES, STATE, IMAGES = 'header', 'values', 'state/', 'images/'
# Characters of a text in JSON; a thousand passes take about 40,000.
LONGEST_TEXT = 10_000_000

_VALUES: TypeAdapter[dict[str, Value]] = TypeAdapter(
    dict[str, Value], config=ConfigDict(strict=True, ser_json_inf_nan='constants')
)


class CheckpointHeader(Config):
    """What a state belongs to.

    Attributes:
        format_version: of the file.
        package_version: that wrote it: another one may compute other numbers.
        backend: that computed it.
        scan: fingerprint of the scan, see `scan_fingerprint`.
        model: fingerprint of the weights, '' without a model.
        inference: settings of the reconstruction.
    """

    format_version: Literal[1] = 1
    package_version: str = Field(__version__)
    backend: Backend
    scan: str
    model: str = ''
    inference: InferenceConfig


def scan_fingerprint(scan: ScanData) -> str:
    """Return the SHA-256 of all of a scan that a reconstruction depends on."""
    arrays = {
        'counts': scan.counts,
        'positions_px': scan.positions_px,
        'probe': scan.probe,
        'mask': scan.mask,
        'object_guess': scan.object_guess,
        'probe_is_refined': np.array(scan.metadata.probe_is_refined),
        'probe_is_unknown': np.array(scan.metadata.probe_is_unknown),
        'history': np.array(dataclasses.astuple(scan.metadata.history)),
        **scan.estimates.arrays(),
    }
    return fingerprint((name, array) for name, array in arrays.items() if array is not None)


def save_checkpoint(path: Path, header: CheckpointHeader, state: SavedState) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        OutputError: the file cannot be written there; an old one stays.
    """
    arrays: dict[str, Any] = {STATE + name: array for name, array in state.arrays.items()}
    arrays |= {IMAGES + name: image for name, image in state.images.items()}
    arrays[HEADER] = np.array(header.model_dump_json())
    arrays[VALUES] = np.array(json.dumps(dict(state.values)))
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_checkpoint(path: Path) -> tuple[CheckpointHeader, SavedState]:
    """Read a checkpoint that this version of the package wrote.

    Raises:
        CheckpointError: there is none, or the file is damaged, another one, or of another version.
    """
    if not path.is_file():
        raise CheckpointError(why_not_a_file(path) or f'there is no checkpoint {path}')
    what = f'{path} cannot be read as the checkpoint of a reconstruction'
    with reading(CheckpointError, what):
        try:
            with NpzArchive(path) as archive:
                return _header(archive), _state(archive)
        except ScanDataError as error:
            raise CheckpointError(f'{what}: ' + '; '.join(error.faults)) from error


def _header(archive: NpzArchive) -> CheckpointHeader:
    fields = parse_json(_text(archive, HEADER))
    version = fields.get('package_version') if isinstance(fields, dict) else None
    if version != __version__:
        raise CheckpointError(
            f'{archive.path} was written by version {version} of ptychopinn-plugin, this is '
            f'{__version__}, which may compute other numbers; resume with that version'
        )
    return CheckpointHeader.model_validate(fields)


def _state(archive: NpzArchive) -> SavedState:
    arrays, images = (
        {
            name.removeprefix(kind): archive.read(name)
            for name in archive.names
            if name.startswith(kind)
        }
        for kind in (STATE, IMAGES)
    )
    values = _VALUES.validate_python(parse_json(_text(archive, VALUES)))
    return SavedState(arrays, values, images)


def _text(archive: NpzArchive, name: str) -> str:
    """Return a text of the archive.

    Raises:
        ValueError: there is none of this name, or it is no text.
    """
    header = archive.header(name)
    if header.dtype.kind != 'U' or math.prod(header.shape) != 1:
        raise ValueError(f'{name} is no text')
    if header.dtype.itemsize > 4 * LONGEST_TEXT:
        raise ValueError(f'{name} has more than {LONGEST_TEXT} characters')
    return str(archive.read(name).ravel()[0])
