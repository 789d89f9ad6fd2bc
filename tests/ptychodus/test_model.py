"""Inside Ptychodus' model: the list, settings, batch mode and scripts, with a stand-in engine."""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychodus.api import io as ptychodus_io
from ptychodus.api.io import load_product, save_product
from ptychodus.model import ModelCore

import ptychopinn_plugin
from ptychopinn_plugin.hosts.engine_cache import EngineCache
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_scan
from ptychopinn_plugin.simulation import SimulationConfig, simulate
from tests.ptychodus.fake_engines import SlowEngine, failure

# Raised by Ptychodus' own imports.
pytestmark = pytest.mark.filterwarnings("ignore:'xdrlib' is deprecated:DeprecationWarning")

PINN = 'ptychopinn-plugin_pinn'


@pytest.fixture
def model(engine_type: type[SlowEngine]) -> Iterator[Any]:
    ptychopinn_plugin.install()
    ptychopinn_plugin.install()
    with ModelCore() as core:
        parameter: Any = core.processing_core.algorithm_parameter
        parameter.set_value(PINN)
        parameter.get_current_reconstructor()._engines = EngineCache(engine_type)
        yield core


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what Ptychodus does to the root logger, and let its records be caught."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ('ptychopinn_plugin', 'ptychopinn_plugin.hosts.ptychodus.processing_core'):
        logging.getLogger(name).handlers.clear()


def batch(model: Any, action: str, source: Path, target: Path) -> int:
    return int(model.batch_mode_execute(action, source, target))


def write_settings(folder: Path, algorithm: str = 'PtychoPINN-Plugin_PINN') -> None:
    (folder / 'settings.ini').write_text(
        f'[Processing]\nAlgorithm = {algorithm}\n'
        '[PtychoPINNPluginExecution]\nbackend = pytorch\n'
        '[PtychoPINNPluginInference]\nrefine_iterations = 3\n'
        '[PtychoPINNPluginTraining]\nepochs = 2\nsteps_per_epoch = 1\n'
    )


def test_both_are_listed_once_and_no_framework_is_loaded(model: Any) -> None:
    listed = list(model.workflow_api.available_reconstructors())
    assert listed.count(PINN) == listed.count('ptychopinn-plugin_supervised') == 1
    assert (
        'ptychopinn_plugin.hosts.ptychodus.settings_page' not in sys.modules
        or 'PyQt5' in sys.modules
    )


def test_batch_reconstruction_leaves_a_product_to_go_on_with(
    model: Any, folder: Path, tmp_path: Path
) -> None:
    write_settings(folder)
    out = tmp_path / 'out'
    assert batch(model, 'reconstruct', folder, out) == 0
    assert sorted(file.name for file in out.iterdir()) == ['product.000003.h5', 'product.h5']
    assert len(load_product(out / 'product.h5').losses) == 3


def test_an_older_product_of_the_output_folder_is_replaced(
    model: Any, folder: Path, tmp_path: Path
) -> None:
    write_settings(folder)
    out = tmp_path / 'out'
    out.mkdir()
    for name in ('product.h5', 'product.000900.h5'):
        (out / name).write_bytes((folder / 'product.h5').read_bytes())
    assert batch(model, 'reconstruct', folder, out) == 0
    assert (out / 'product.h5').read_bytes() == (out / 'product.000003.h5').read_bytes()


def test_an_input_is_never_written_over(model: Any, folder: Path) -> None:
    write_settings(folder)
    before = (folder / 'product.h5').read_bytes()
    assert batch(model, 'reconstruct', folder, folder) == 0
    assert (folder / 'product.h5').read_bytes() == before
    assert (folder / 'product.000003.h5').exists()


def test_a_reconstruction_finds_the_model_of_a_training(
    model: Any, folder: Path, tmp_path: Path, engine_type: type[SlowEngine]
) -> None:
    write_settings(folder)
    assert batch(model, 'train', folder, folder) == 0
    assert (folder / 'model.safetensors').exists()
    assert batch(model, 'reconstruct', folder, tmp_path / 'out') == 0
    losses = [loss.value for loss in load_product(tmp_path / 'out' / 'product.h5').losses]
    assert losses == pytest.approx([1, 1 / 2, 1 / 3])
    assert engine_type.made[0].calls[-1]['model'] is not None


def test_an_error_reaches_the_exit_code_and_the_status_pane(
    model: Any, folder: Path, tmp_path: Path, engine_type: type[SlowEngine]
) -> None:
    write_settings(folder)
    engine_type.fails = failure()
    assert batch(model, 'reconstruct', folder, tmp_path / 'out') == 1
    pane = list(model.processing_core.processing_api.task_monitor.get_log_handler().messages())
    assert any('[ERROR]' in line and 'not finite' in line for line in pane)
    assert not (tmp_path / 'out' / 'product.h5').exists()


def test_an_algorithm_that_does_not_exist_is_logged(
    model: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_settings(folder, 'PtychoPINN-Plugin_PIN')
    model.settings_registry.open_settings(folder / 'settings.ini')
    assert "There is no algorithm 'PtychoPINN-Plugin_PIN'" in caplog.text
    assert PINN in caplog.text
    pane = list(model.processing_core.processing_api.task_monitor.get_log_handler().messages())
    assert any('There is no algorithm' in line for line in pane)
    assert model.processing_core.algorithm_parameter.get_value() == PINN


def test_settings_are_saved_and_read_by_ptychodus(model: Any, tmp_path: Path) -> None:
    group = model.settings_registry['PtychoPINNPluginInference']
    group.parameters()['refine_iterations'].set_value(77)
    model.settings_registry.save_settings(tmp_path / 'settings.ini')
    with ModelCore(tmp_path / 'settings.ini') as other:
        assert other.processing_core.algorithm_parameter.get_value() == PINN
        read = other.settings_registry['PtychoPINNPluginInference'].parameters()
        assert read['refine_iterations'].get_value() == 77


def load(model: Any, folder: Path) -> Any:
    data = model.workflow_api.load_assembled_diffraction_data(folder / 'diffraction.h5')
    return model.workflow_api.load_product(folder / 'product.h5', diffraction=data)


def test_scripts_train_reconstruct_and_export(
    model: Any, stored: Path, tmp_path: Path, engine_type: type[SlowEngine]
) -> None:
    product = load(model, stored)
    product.export_training_data(tmp_path / 'train_data.npz', algorithm=PINN)
    product.train_reconstructor_local(tmp_path, tmp_path, algorithm=PINN, block=True)
    assert (tmp_path / 'model.safetensors').exists()
    result = product.reconstruct_local(algorithm=PINN, block=True)
    assert 'model ' in result.get_product().metadata.comments
    assert engine_type.made[0].calls[-1]['model'] is not None


@pytest.mark.skipif(
    not hasattr(ptychodus_io, 'save_training_data'), reason='Ptychodus 1.6 has no such file'
)
def test_a_simulated_scan_opens_as_the_window_opens_it(
    model: Any, tmp_path: Path, engine_type: type[SlowEngine]
) -> None:
    simulated = simulate(SimulationConfig(rows=4, columns=5))
    save_ptychodus_scan(tmp_path / 'star.h5', simulated.scan)
    kind, api = 'Ptychodus_Training_Data', model.workflow_api
    data = api.load_diffraction_data(tmp_path / 'star.h5', file_type=kind, block=True)
    product = api.load_product(tmp_path / 'star.h5', file_type=kind, diffraction=data)
    product.reconstruct_local(algorithm=PINN, block=True)
    scan = engine_type.made[0].calls[0]['scan']
    np.testing.assert_array_equal(scan.counts, simulated.scan.counts)
    np.testing.assert_allclose(scan.positions_px, simulated.scan.positions_px, atol=1e-6)
    np.testing.assert_array_equal(scan.probe, simulated.scan.probe)


@pytest.mark.parametrize(('first', 'last', 'left_out'), [(0, 36, 0), (0, 35, 1), (3, 30, 9)])
def test_frames_without_a_position_are_counted_and_named(
    model: Any,
    folder: Path,
    tmp_path: Path,
    first: int,
    last: int,
    left_out: int,
    engine_type: type[SlowEngine],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are dropped by Ptychodus before a reconstructor gets the scan."""
    product = load_product(folder / 'product.h5')
    positions = type(product.probe_positions)(list(product.probe_positions)[first:last])
    save_product(folder / 'product.h5', dataclasses.replace(product, probe_positions=positions))
    write_settings(folder)
    assert batch(model, 'reconstruct', folder, tmp_path / 'out') == 0
    assert engine_type.made[0].calls[0]['scan'].frame_count == 36 - left_out
    said = f'{left_out} of 36 frames have no position and are left out (scan index '
    assert (said in caplog.text) == (left_out > 0)
    if left_out == 9:
        assert 'scan index 0, 1, 2, 30, 31, ...; those of the positions are 3 to 29' in caplog.text


def test_stop_ends_a_long_step_within_a_second(
    model: Any, stored: Path, engine_type: type[SlowEngine]
) -> None:
    engine_type.seconds_a_step = 30.0
    monitor = model.processing_core.processing_api.task_monitor
    load(model, stored).reconstruct_local(algorithm=PINN, block=False)
    wait_for(lambda: monitor.is_processing and bool(engine_type.made))
    assert monitor.get_progress_goal() > 0
    began = time.monotonic()
    monitor.stop_processing()
    wait_for(lambda: not monitor.is_processing)
    assert time.monotonic() - began < 1


def test_closing_ptychodus_ends_a_long_step(
    model: Any, stored: Path, engine_type: type[SlowEngine]
) -> None:
    engine_type.seconds_a_step = 30.0
    load(model, stored).reconstruct_local(algorithm=PINN, block=False)
    wait_for(lambda: bool(engine_type.made))
    began = time.monotonic()
    model.__exit__(None, None, None)
    assert time.monotonic() - began < 3


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
