"""What crosses between the processes, as JSON and named arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.io.model_file import Manifest, TrainedModel
from ptychopinn_plugin.monitor import Progress
from ptychopinn_plugin.scan import Reconstruction, ScanData, ScanMetadata

Array = npt.NDArray[Any]
Body: TypeAlias = dict[str, Any]
Arrays: TypeAlias = Mapping[str, Array]

SCAN_ARRAYS = ('counts', 'positions_px', 'probe', 'mask', 'object_guess', 'true_patches')
WEIGHTS = 'weights/'


def pack_scans(
    scans: Sequence[ScanData], leave_out: Sequence[str] = ()
) -> tuple[list[Body], dict[str, Array]]:
    """Return scans as JSON and arrays; an array's name begins with the number of its scan.

    Args:
        scans: what to pack.
        leave_out: names of arrays that are not needed at the other end.
    """
    bodies: list[Body] = []
    arrays: dict[str, Array] = {}
    for number, scan in enumerate(scans):
        metadata = _plain(scan.metadata, leave_out=('scan_index',))
        bodies.append(
            {'metadata': metadata, 'source': scan.source, 'decisions': list(scan.decisions)}
        )
        found = {name: getattr(scan, name) for name in SCAN_ARRAYS if name not in leave_out}
        found['scan_index'] = scan.metadata.scan_index
        arrays |= {f'{number}/{name}': array for name, array in found.items() if array is not None}
    return bodies, arrays


def unpack_scans(bodies: Sequence[Body], arrays: Arrays) -> list[ScanData]:
    """Return the scans that `pack_scans` packed.

    Raises:
        ScanDataError: the arrays break the contract.
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
                **own,
                metadata=metadata,
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
    return _plain(reconstruction, leave_out=tuple(arrays)), arrays


def unpack_reconstruction(body: Body, arrays: Arrays) -> Reconstruction:
    """Return the reconstruction that `pack_reconstruction` packed."""
    fields: dict[str, Any] = _with_tuples(body) | dict(arrays)
    return Reconstruction(**fields)


def pack_model(model: TrainedModel) -> tuple[Body, dict[str, Array]]:
    """Return a model as JSON and arrays."""
    arrays: dict[str, Array] = {WEIGHTS + name: array for name, array in model.weights.items()}
    arrays |= {'probe': model.probe, 'losses': model.losses}
    return model.manifest.model_dump(mode='json'), arrays


def unpack_model(body: Body, arrays: Arrays) -> TrainedModel:
    """Return the model that `pack_model` packed."""
    return TrainedModel(
        weights={
            name.removeprefix(WEIGHTS): array
            for name, array in arrays.items()
            if name.startswith(WEIGHTS)
        },
        probe=arrays['probe'],
        losses=arrays['losses'],
        manifest=Manifest.model_validate(body),
    )


def pack_progress(progress: Progress) -> Body:
    """Return a step as JSON."""
    return _plain(progress)


def unpack_progress(body: Body) -> Progress:
    """Return the step that `pack_progress` packed."""
    return Progress(**body)


def _plain(instance: Any, leave_out: Sequence[str] = ()) -> Body:  # noqa: ANN401  (a dataclass)
    """Return the fields of a dataclass as JSON has them; NumPy's scalars as Python's."""
    return {
        field.name: _plain_value(getattr(instance, field.name))
        for field in dataclasses.fields(instance)
        if field.name not in leave_out
    }


def _plain_value(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain_value(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _with_tuples(body: Body) -> Body:
    """Return the body with its lists as tuples, as the dataclasses have them."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in body.items()}
