"""A known background that is named in Ptychodus' settings."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from ptychodus.api.io import load_diffraction_data, load_product
from ptychodus.api.reconstruct import ReconstructInput, prepare_reconstruct_input

from ptychopinn_plugin.config import DetectorConfig, InferenceConfig
from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from ptychopinn_plugin.io.npz_scan import load_npz
from tests.helpers import KnownScan
from tests.ptychodus.fake_engines import SlowEngine


@pytest.fixture
def parameters(stored: Path) -> ReconstructInput:
    data = load_diffraction_data(stored / 'diffraction.h5')
    product = load_product(stored / 'product.h5')
    return prepare_reconstruct_input(data, product)


def reconstructor(
    engine_type: type[SlowEngine], background: str
) -> PtychoPINNTrainableReconstructor:
    return PtychoPINNTrainableReconstructor(
        backend='pytorch',
        engine_factory=engine_type,
        inference=InferenceConfig(refine_iterations=1),
        detector=DetectorConfig(background_file=background),
    )


@pytest.mark.parametrize('ending', ['.npy', '.npz'])
def test_the_background_of_a_file_is_that_of_the_scan(
    engine_type: type[SlowEngine],
    parameters: ReconstructInput,
    known: KnownScan,
    tmp_path: Path,
    ending: str,
) -> None:
    size = known.scan.frame_size
    image = np.arange(size**2, dtype=np.float32).reshape(size, size) / 1e3
    file = tmp_path / f'dark{ending}'
    if ending == '.npy':
        np.save(file, image)
    else:
        np.savez(file, background=image)
    made = reconstructor(engine_type, str(file))
    *_, last = made.reconstruct(parameters)
    used = engine_type.made[0].calls[0]['scan']
    np.testing.assert_array_equal(used.estimates.background, image)
    assert f'background_file = "{file}"' in last.product.metadata.comments
    made.export_training_data(tmp_path / 'train.npz', parameters)
    np.testing.assert_array_equal(load_npz(tmp_path / 'train.npz').estimates.background, image)


def test_without_a_file_there_is_no_background(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    *_, last = reconstructor(engine_type, '').reconstruct(parameters)
    assert engine_type.made[0].calls[0]['scan'].estimates.background is None
    assert 'background_file' not in last.product.metadata.comments


@pytest.mark.parametrize('fault', ['missing', 'shape', 'negative', 'no array'])
def test_a_file_that_does_not_fit_is_refused_by_its_name(
    engine_type: type[SlowEngine],
    parameters: ReconstructInput,
    tmp_path: Path,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / 'dark.npy'
    if fault == 'no array':
        file.write_bytes(b'dark')
    elif fault != 'missing':
        np.save(file, np.ones((7, 9)) if fault == 'shape' else -np.ones((32, 32)))
    with caplog.at_level(logging.ERROR), pytest.raises(ScanDataError, match='background'):
        list(reconstructor(engine_type, str(file)).reconstruct(parameters))
    assert not engine_type.made or not engine_type.made[0].calls
    assert 'background' in caplog.text
