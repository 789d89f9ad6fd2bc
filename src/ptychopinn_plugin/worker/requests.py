"""The parent's requests to the worker: how they are written and read."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn_plugin.io.model_file import TrainedModel
from ptychopinn_plugin.io.model_file.tensors import checksum, to_tensors
from ptychopinn_plugin.networks.checkpointing import Checkpointing
from ptychopinn_plugin.scan import ScanData
from ptychopinn_plugin.worker.codec import pack_model, pack_scans, unpack_scans
from ptychopinn_plugin.worker.messages import Body, Message
from ptychopinn_plugin.worker.shared_memory import Array

PACKAGE = 'ptychopinn_plugin'
RECONSTRUCT, FIT, WARM_UP = 'reconstruct', 'fit', 'warm up'
# Before the names of a model's arrays, which travel in one message with those of the scan.
MODEL = 'model:'

BodyAndArrays: TypeAlias = tuple[Body, dict[str, Array]]


def warm_up_request(execution: ExecutionConfig) -> Message:
    """Return the request to import the framework and make the engine."""
    return Message(WARM_UP, _common(execution))


def reconstruct_request(
    execution: ExecutionConfig,
    scan: ScanData,
    inference: InferenceConfig,
    model: TrainedModel | None,
    worker_model_name: str,
    checkpointing: Checkpointing | None = None,
) -> Message:
    """Return the request for a reconstruction.

    Args:
        execution: device and threads.
        scan: the scan.
        inference: iterations, probe update.
        model: the network; None for physics alone.
        worker_model_name: of the model that the worker has already, which is not sent again.
        checkpointing: where the worker keeps the state; None where it does not.
    """
    body, arrays = _named_model(model, worker_model_name)
    body['checkpointing'] = None
    if checkpointing is not None:
        plan = dataclasses.asdict(checkpointing)
        body['checkpointing'] = plan | {'path': str(checkpointing.path.absolute())}
    body |= _common(execution) | {'inference': inference.model_dump(mode='json')}
    # Only a supervised training needs the true patches.
    body['scans'], scan_arrays = pack_scans([scan], ['true_patches'])
    return Message(RECONSTRUCT, body, arrays | scan_arrays)


def fit_request(
    execution: ExecutionConfig,
    scans: Sequence[ScanData],
    model: ModelConfig,
    training: TrainingConfig,
    folder: Path | None,
    *,
    resume: bool,
    initial: TrainedModel | None,
    worker_model_name: str,
) -> Message:
    """Return the request for a training, with the arguments of `Engine.fit`.

    `worker_model_name` is that of the model that the worker has already, which is not sent again.
    """
    body, model_arrays = _named_model(initial, worker_model_name)
    body |= _common(execution) | {
        'model_config': model.model_dump(mode='json'),
        'training': training.model_dump(mode='json'),
        'folder': None if folder is None else str(folder.absolute()),
        'resume': resume,
    }
    body['scans'], arrays = pack_scans(scans)
    return Message(FIT, body, model_arrays | arrays)


def read_execution(request: Message) -> ExecutionConfig:
    """Return the execution config of a request."""
    return ExecutionConfig.model_validate(request.body['execution'])


def read_checkpointing(request: Message) -> Checkpointing | None:
    """Return where the worker keeps the state of a reconstruction, None where it does not."""
    plan = request.body['checkpointing']
    return None if plan is None else Checkpointing(**plan | {'path': Path(plan['path'])})


def read_scans(request: Message) -> list[ScanData]:
    """Return the scans of a request."""
    arrays = {n: array for n, array in request.arrays.items() if not n.startswith(MODEL)}
    return unpack_scans(request.body['scans'], arrays)


def read_model_arrays(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return copies of a model's arrays, which outlast the request's shared memory."""
    return {
        name.removeprefix(MODEL): array.copy()
        for name, array in arrays.items()
        if name.startswith(MODEL)
    }


def _common(execution: ExecutionConfig) -> Body:
    return {
        'execution': execution.model_dump(mode='json'),
        'log_level': logging.getLogger(PACKAGE).getEffectiveLevel(),
    }


def _named_model(model: TrainedModel | None, worker_model_name: str) -> BodyAndArrays:
    """Return a model whole, or its name alone where the worker has it already."""
    if model is None:
        return {'model_name': ''}, {}
    name = checksum(to_tensors(model), model.manifest.model_dump_json())
    if name == worker_model_name:
        return {'model_name': name, 'manifest': None}, {}
    manifest, arrays = pack_model(model)
    named = {MODEL + key: array for key, array in arrays.items()}
    return {'model_name': name, 'manifest': manifest}, named
