"""Supervised: the published network trained on known objects, through the same reconstructor."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from ptychodus.api.io import load_diffraction_data, load_product, save_product
from ptychodus.api.object import Object
from ptychodus.api.reconstruct import ReconstructInput, prepare_reconstruct_input
from ptychodus.api.settings import SettingsRegistry

from ptychopinn_plugin.config import (
    Backend,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.hosts.host_tasks import NoHost
from ptychopinn_plugin.hosts.ptychodus.library import PtychoPINNReconstructorLibrary
from ptychopinn_plugin.hosts.ptychodus.supervised import SupervisedReconstructor
from ptychopinn_plugin.io.model_file import load_model, packaged_model
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from tests.helpers import KnownScan, make_known_scan
from tests.ptychodus.fake_engines import SlowEngine

MODEL = ModelConfig(architecture='unrolled', gridsize=2, model_type='pinn')


def make(engine_type: type[SlowEngine], **options: Any) -> SupervisedReconstructor:
    return SupervisedReconstructor(
        backend='pytorch',
        engine_factory=engine_type,
        model=MODEL,
        inference=InferenceConfig(refine_iterations=5),
        training=TrainingConfig(epochs=4, steps_per_epoch=2),
        **options,
    )


@pytest.fixture
def with_ground_truth(parameters: ReconstructInput, known: KnownScan) -> ReconstructInput:
    """Return the input with the true object in its product."""
    given = parameters.product.object_
    truth = Object(known.ground_truth, given.get_pixel_geometry(), given.get_center())
    product = dataclasses.replace(parameters.product, object_=truth)
    return dataclasses.replace(parameters, product=product)


def test_the_network_and_its_training_are_settled(
    engine_type: type[SlowEngine],
    with_ground_truth: ReconstructInput,
    known: KnownScan,
    tmp_path: Path,
) -> None:
    made = make(engine_type)
    assert made.name == 'Supervised'
    made.export_training_data(tmp_path / 'train_data.npz', with_ground_truth)
    guess = load_npz(tmp_path / 'train_data.npz').object_guess
    assert guess is not None
    np.testing.assert_array_equal(guess, known.ground_truth)
    *_, last = made.train(tmp_path, tmp_path / 'out')
    assert len(last.training_loss) == 4
    (call,) = engine_type.made[0].calls
    settled = MODEL.model_copy(update={'architecture': 'cnn', 'model_type': 'supervised'})
    assert call['model'] == settled
    assert load_model(tmp_path / 'out' / 'model.safetensors').manifest.model == settled
    *_, output = made.reconstruct(with_ground_truth)
    assert engine_type.made[0].calls[-1]['model'] is not None
    assert output.product.probe_positions is with_ground_truth.product.probe_positions


def test_a_flat_object_is_refused_with_a_sentence(
    engine_type: type[SlowEngine],
    parameters: ReconstructInput,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = make(engine_type)
    with pytest.raises(ScanDataError, match=r'supervised training needs Y .*objectGuess is flat'):
        made.export_training_data(tmp_path / 'train_data.npz', parameters)
    assert not (tmp_path / 'train_data.npz').exists()
    assert 'objectGuess is flat' in caplog.text
    with pytest.raises(ScanDataError, match='objectGuess is flat'):
        list(made.train(folder, tmp_path / 'out'))
    assert not engine_type.made


def test_a_folder_with_the_true_product_is_enough(
    engine_type: type[SlowEngine], with_ground_truth: ReconstructInput, folder: Path, tmp_path: Path
) -> None:
    product = load_product(folder / 'product.h5')
    truth = dataclasses.replace(product, object_=with_ground_truth.product.object_)
    save_product(folder / 'product.h5', truth)
    outputs = list(make(engine_type).train(folder, tmp_path / 'out'))
    assert len(outputs) == 5


def test_both_reconstructors_of_the_library_share_a_worker_and_not_a_model(
    engine_type: type[SlowEngine],
    with_ground_truth: ReconstructInput,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    library = PtychoPINNReconstructorLibrary(SettingsRegistry(), engine_factory=engine_type)
    library.settings.execution.parameters['backend'].set_value('pytorch')
    library.settings.training.parameters['epochs'].set_value(1)
    library.settings.inference.parameters['refine_iterations'].set_value(1)
    pinn, supervised = cast('tuple[SupervisedReconstructor, ...]', tuple(library))
    assert (pinn.name, supervised.name) == ('PINN', 'Supervised')
    list(pinn.train(folder, tmp_path))
    list(supervised.reconstruct(with_ground_truth))
    (engine,) = engine_type.made
    assert engine.calls[0]['model'].architecture == 'unrolled'
    # Not the one that was just trained: without one of its own it takes that of the package.
    fingerprint = engine.calls[1]['model'].manifest.weights_fingerprint
    assert fingerprint == packaged_model().manifest.weights_fingerprint
    library.close()
    assert engine.closed


def test_stop_reaches_it(
    engine_type: type[SlowEngine], with_ground_truth: ReconstructInput
) -> None:
    class Stopped(NoHost):
        def should_stop(self) -> bool:
            return True

    library = PtychoPINNReconstructorLibrary(SettingsRegistry(), engine_factory=engine_type)
    library.settings.execution.parameters['backend'].set_value('pytorch')
    library.connect_host(Stopped())
    for reconstructor in library:
        assert list(reconstructor.reconstruct(with_ground_truth)) == []


@pytest.mark.slow
@pytest.mark.integration
def test_it_learns_the_known_object_in_its_worker(backend: Backend, tmp_path: Path) -> None:
    """Through the worker process, at the default learning rate, on the scan it was trained on."""
    known = make_known_scan(frame_size=64, side=7, step_px=6.0, photons=1e5)
    scan = dataclasses.replace(known.scan, object_guess=known.ground_truth)
    save_ptychodus_pair(tmp_path, scan)
    made = SupervisedReconstructor(
        backend=backend,
        model=ModelConfig(gridsize=1),
        training=TrainingConfig(epochs=10, batch_size=2),
        execution=ExecutionConfig(accelerator='cpu', logger='none', deterministic=True),
    )
    data = load_diffraction_data(tmp_path / 'diffraction.h5')
    given = prepare_reconstruct_input(data, load_product(tmp_path / 'product.h5'))
    try:
        *_, trained = made.train(tmp_path, tmp_path / 'out')
        *_, output = made.reconstruct(given)
    finally:
        made.close()
    assert trained.training_loss[-1].value < 0.8 * trained.training_loss[0].value
    assert backend in output.product.metadata.comments
    low, high = (np.rint(each).astype(int) for each in (
        scan.positions_px.min(axis=0), scan.positions_px.max(axis=0)))  # fmt: skip
    seen = slice(low[0], high[0]), slice(low[1], high[1])
    found, truth = output.product.object_.get_layer(0)[seen], known.ground_truth[seen]
    found = found * np.exp(-1j * np.angle(np.vdot(truth, found)))
    assert np.corrcoef(np.angle(found).ravel(), np.angle(truth).ravel())[0, 1] > 0.5
