"""A reconstruction in Ptychodus goes on from the folder of checkpoints of its settings."""

from __future__ import annotations

import dataclasses
import functools
import logging
from pathlib import Path

import numpy as np
import pytest
from ptychodus.api.reconstruct import ReconstructInput

from ptychopinn_plugin.config import CheckpointConfig, ExecutionConfig, InferenceConfig
from ptychopinn_plugin.errors import OutputError
from ptychopinn_plugin.hosts.engine_cache import in_process_engine
from ptychopinn_plugin.hosts.host_tasks import NoHost
from ptychopinn_plugin.hosts.ptychodus import reconstruction_run
from ptychopinn_plugin.hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from ptychopinn_plugin.hosts.ptychodus.state_file import checkpoint_file
from ptychopinn_plugin.io.ptychodus.read_scan import scan_from_input
from ptychopinn_plugin.networks.checkpointing import Checkpointing, CheckpointMonitor
from tests.ptychodus.fake_engines import SlowEngine


class StopAt(NoHost):
    """A host whose user presses Stop after some steps."""

    def __init__(self, step: int) -> None:
        self.step, self.done = step, 0

    def should_stop(self) -> bool:
        return self.done >= self.step


def reconstructor(folder: Path | str, iterations: int = 6) -> PtychoPINNTrainableReconstructor:
    return PtychoPINNTrainableReconstructor(
        execution=ExecutionConfig(backend='pytorch', accelerator='cpu', threads=1),
        inference=InferenceConfig(
            refine_iterations=iterations, estimate_errors=False, closing_stage=False
        ),
        checkpoint=CheckpointConfig(folder=str(folder)),
        engine_factory=in_process_engine,
        preview_seconds=None,
    )


@pytest.fixture(autouse=True)
def after_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = functools.partial(Checkpointing, seconds=0)
    monkeypatch.setattr(reconstruction_run, 'Checkpointing', plan)


@pytest.mark.pytorch
def test_a_stopped_reconstruction_goes_on_with_the_next_one(
    parameters: ReconstructInput,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    *_, unbroken = reconstructor('').reconstruct(parameters)
    tasks, folder = StopAt(3), tmp_path / 'new' / 'folder'
    made = reconstructor(folder)
    made.connect_host(tasks)
    real = CheckpointMonitor.on_state

    def counting(monitor: object, state: object) -> None:
        real(monitor, state)  # type: ignore[arg-type]
        tasks.done += 1

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointMonitor, 'on_state', counting)
        assert list(made.reconstruct(parameters)) == []
    assert 'another run of the product that this one began with goes on' in caplog.messages[-1]
    assert len(list(folder.iterdir())) == 1
    # Of a window that was opened again: the product has another name.
    metadata = dataclasses.replace(parameters.product.metadata, name='another')
    product = dataclasses.replace(parameters.product, metadata=metadata)
    *_, last = reconstructor(folder).reconstruct(dataclasses.replace(parameters, product=product))
    assert 'Resumed after iteration 3' in caplog.messages
    np.testing.assert_array_equal(
        last.product.object_.get_array(), unbroken.product.object_.get_array()
    )
    assert list(folder.iterdir()) == []


@pytest.mark.pytorch
def test_a_file_that_is_no_checkpoint_is_as_none(
    parameters: ReconstructInput, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = file_of(tmp_path, parameters)
    file.write_bytes(b'damaged')
    *_, last = reconstructor(tmp_path, 2).reconstruct(parameters)
    assert 'starting from the beginning' in caplog.text
    assert last.progress == 2
    assert not file.exists()


def file_of(folder: Path, parameters: ReconstructInput) -> Path:
    file = checkpoint_file(CheckpointConfig(folder=str(folder)), scan_from_input(parameters, ''))
    assert file is not None
    return file


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_computed(
    engine_type: type[SlowEngine], parameters: ReconstructInput, tmp_path: Path
) -> None:
    (tmp_path / 'file').touch()
    made = PtychoPINNTrainableReconstructor(
        backend='pytorch',
        engine_factory=engine_type,
        checkpoint=CheckpointConfig(folder=str(tmp_path / 'file')),
    )
    with pytest.raises(OutputError, match=r'checkpoint folder .* cannot be made'):
        list(made.reconstruct(parameters))
    assert not any(engine.calls for engine in engine_type.made)
