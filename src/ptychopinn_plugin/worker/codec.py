"""Conversion of scans, models, reconstructions and progress to JSON and arrays, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ptychopinn_plugin.io.model_file import Manifest, TrainedModel, TrainingExample
from ptychopinn_plugin.monitor import Progress
from ptychopinn_plugin.scan import (
    Estimates,
    PassHistory,
    Quality,
    Reconstruction,
    ScanData,
    ScanMetadata,
)
from ptychopinn_plugin.worker.messages import Body
from ptychopinn_plugin.worker.shared_memory import Array

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Arrays: TypeAlias = Mapping[str, Array]

SCAN_ARRAYS = ('counts', 'positions_px', 'probe', 'mask', 'object_guess', 'true_patches')
WEIGHTS = 'weights/'
EXAMPLE = 'example/'
ESTIMATES = 'estimates/'
QUALITY = 'quality/'


def pack_scans(
    scans: Sequence[ScanData], leave_out: Sequence[str] = ()
) -> tuple[list[Body], dict[str, Array]]:
    """Return scans as JSON and arrays; the name of an array begins with the number of its scan.

    Args:
        scans: the scans.
        leave_out: names of arrays that the worker does not need.
    """
    bodies: list[Body] = []
    arrays: dict[str, Array] = {}
    for number, scan in enumerate(scans):
        metadata = _plain(scan.metadata, leave_out=('scan_index',))
        bodies.append(
            {'metadata': metadata, 'source': scan.source, 'decisions': list(scan.decisions)}
        )
        found = {name: getattr(scan, name) for name in SCAN_ARRAYS if name not in leave_out}
        found |= _pack_estimates(scan.estimates)
        found['scan_index'] = scan.metadata.scan_index
        arrays |= {f'{number}/{name}': array for name, array in found.items() if array is not None}
    return bodies, arrays


def unpack_scans(bodies: Sequence[Body], arrays: Arrays) -> list[ScanData]:
    """Return the scans that `pack_scans` packed.

    Raises:
        ScanDataError: the arrays are not those of a scan.
    """
    scans = []
    for number, body in enumerate(bodies):
        own = {
            name.partition('/')[2]: array
            for name, array in arrays.items()
            if name.partition('/')[0] == str(number)
        }
        metadata = ScanMetadata(
            **_with_tuples(body['metadata']), scan_index=own.pop('scan_index', None)
        )
        scans.append(
            ScanData(
                **_without_estimates(own),
                metadata=metadata,
                estimates=_unpack_estimates(own),
                source=body['source'],
                decisions=tuple(body['decisions']),
            )
        )
    return scans


def pack_reconstruction(reconstruction: Reconstruction) -> tuple[Body, dict[str, Array]]:
    """Return a reconstruction as JSON and arrays."""
    arrays = {
        field.name: value
        for field in dataclasses.fields(reconstruction)
        if isinstance(value := getattr(reconstruction, field.name), np.ndarray)
    }
    body = _plain(reconstruction, leave_out=(*arrays, 'estimates', 'quality'))
    return body, arrays | _pack_estimates(reconstruction.estimates) | _pack_quality(reconstruction)


def unpack_reconstruction(body: Body, arrays: Arrays) -> Reconstruction:
    """Return the reconstruction that `pack_reconstruction` packed."""
    fields: dict[str, Any] = _with_tuples(body) | _without_estimates(arrays)
    return Reconstruction(
        **fields, estimates=_unpack_estimates(arrays), quality=_unpack_quality(arrays)
    )


def pack_model(model: TrainedModel) -> tuple[Body, dict[str, Array]]:
    """Return a model as JSON and arrays."""
    arrays: dict[str, Array] = {WEIGHTS + name: array for name, array in model.weights.items()}
    arrays |= {'probe': model.probe, 'losses': model.losses}
    if model.example is not None:
        arrays |= {EXAMPLE + name: array for name, array in vars(model.example).items()}
    return model.manifest.model_dump(mode='json'), arrays


def unpack_model(body: Body, arrays: Arrays) -> TrainedModel:
    """Return the model that `pack_model` packed."""
    example: dict[str, Any] = {
        name.removeprefix(EXAMPLE): array
        for name, array in arrays.items()
        if name.startswith(EXAMPLE)
    }
    return TrainedModel(
        weights={
            name.removeprefix(WEIGHTS): array
            for name, array in arrays.items()
            if name.startswith(WEIGHTS)
        },
        probe=arrays['probe'],
        losses=arrays['losses'],
        manifest=Manifest.model_validate(body),
        example=TrainingExample(**example) if example else None,
    )


def pack_progress(progress: Progress) -> Body:
    """Return a progress report as JSON."""
    return _plain(progress)


def unpack_progress(body: Body) -> Progress:
    """Return the progress report that `pack_progress` packed."""
    return Progress(**body)


def _pack_estimates(estimates: Estimates) -> dict[str, Array]:
    return {ESTIMATES + name: array for name, array in estimates.arrays().items()}


def _unpack_estimates(arrays: Arrays) -> Estimates:
    found = {name: array for name, array in arrays.items() if name.startswith(ESTIMATES)}
    return Estimates(**{name.removeprefix(ESTIMATES): array for name, array in found.items()})


def _pack_quality(reconstruction: Reconstruction) -> dict[str, Array]:
    quality = reconstruction.quality
    arrays = {} if quality is None else quality.arrays()
    return {QUALITY + name: array for name, array in arrays.items()}


def _unpack_quality(arrays: Arrays) -> Quality | None:
    found = {
        name.removeprefix(QUALITY): array
        for name, array in arrays.items()
        if name.startswith(QUALITY)
    }
    return Quality.from_arrays(found) if found else None


def _without_estimates(arrays: Arrays) -> dict[str, Any]:
    """Return the arrays that belong to no part of a reconstruction."""
    parts = (ESTIMATES, QUALITY)
    return {name: array for name, array in arrays.items() if not name.startswith(parts)}


def _plain(instance: DataclassInstance, leave_out: Sequence[str] = ()) -> Body:
    """Return the fields of a dataclass as JSON values, NumPy scalars as Python scalars."""
    return {
        field.name: _plain_value(getattr(instance, field.name))
        for field in dataclasses.fields(instance)
        if field.name not in leave_out
    }


def _plain_value(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain_value(each) for each in value]
    if isinstance(value, PassHistory):
        return _plain(value)
    return value.item() if isinstance(value, np.generic) else value


def _with_tuples(body: Body) -> Body:
    """Return the body with tuples in place of lists, and the pass history, as dataclasses need."""
    fields: Body = {name: tuple(v) if isinstance(v, list) else v for name, v in body.items()}
    return fields | {'history': PassHistory(**body['history'])}
