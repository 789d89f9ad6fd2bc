"""The reconstructor, constructed by hand, with an engine that can be watched."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import re
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychodus.api.object import Object
from ptychodus.api.probe import ProbeSequence
from ptychodus.api.reconstruct import ReconstructInput, TrainableReconstructor

import ptychopinn_plugin
from ptychopinn_plugin import __version__
from ptychopinn_plugin.config import ExecutionConfig, InferenceConfig, TrainingConfig
from ptychopinn_plugin.errors import (
    BackendUnavailableError,
    ModelFileError,
    ModelMismatchError,
    OutputError,
    ReconstructionError,
    ScanDataError,
)
from ptychopinn_plugin.hosts.engine_cache import in_process_engine
from ptychopinn_plugin.hosts.host_tasks import NoHost
from ptychopinn_plugin.hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from ptychopinn_plugin.io.model_file import load_model, packaged_model
from ptychopinn_plugin.io.npz_scan import load_npz
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.io.ptychodus.read_scan import photon_energy_ev, scan_from_input
from tests.ptychodus.fake_engines import SlowEngine, failure


class Tasks(NoHost):
    """A host whose Stop is pressed after some seconds."""

    def __init__(self, stop_after: float = float('inf')) -> None:
        self.end = time.monotonic() + stop_after
        self.reports: list[tuple[int, int]] = []

    def should_stop(self) -> bool:
        return time.monotonic() > self.end

    def report(self, step: int, total: int) -> None:
        self.reports.append((step, total))


def make(engine_type: type[SlowEngine], **options: Any) -> PtychoPINNTrainableReconstructor:
    options.setdefault('inference', InferenceConfig(refine_iterations=5))
    options.setdefault('training', TrainingConfig(epochs=4, steps_per_epoch=2))
    return PtychoPINNTrainableReconstructor(
        backend='pytorch', engine_factory=engine_type, **options
    )


def jobs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'ptychopinn job']


def test_it_is_public_and_a_trainable_reconstructor(engine_type: type[SlowEngine]) -> None:
    assert ptychopinn_plugin.PtychoPINNTrainableReconstructor is PtychoPINNTrainableReconstructor
    made = make(engine_type)
    assert isinstance(made, TrainableReconstructor)
    assert made.name == 'PINN'
    assert made.get_progress_goal() > 0
    assert made.get_model_file_extension() == '.safetensors'
    assert '*.safetensors' in made.get_model_file_filter()
    assert '*.npz' in made.get_training_data_file_filter()
    assert not engine_type.made  # nothing is started before there is work


def test_the_last_output_is_the_result_in_the_frame_of_the_input(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    made = make(engine_type)
    *_, last = made.reconstruct(parameters)
    given, product = parameters.product, last.product
    assert last.progress == made.get_progress_goal() == 5
    assert product.object_.get_geometry() == given.object_.get_geometry()
    assert product.probe_positions is given.probe_positions
    assert product.probes is given.probes
    assert np.isfinite(product.object_.get_array()).all()
    assert [loss.value for loss in product.losses] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    words = ('pytorch', 'model file: packaged, ', '5 iterations in 0.50 s', 'Converted from')
    for word in (*words, __version__):
        assert word in product.metadata.comments
    assert product.metadata.name == given.metadata.name


def test_comments_of_an_earlier_reconstruction_give_way(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    made = make(engine_type)
    *_, first = made.reconstruct(parameters)
    *_, second = made.reconstruct(dataclasses.replace(parameters, product=first.product))
    assert second.product.metadata.comments == first.product.metadata.comments


def test_a_canvas_that_grew_has_moved_its_centre(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    given = parameters.product.object_
    # Three rows and one column less, cut off at the start.
    cut = Object(
        given.get_array()[:, 12:, 1:],
        given.get_pixel_geometry(),
        dataclasses.replace(
            given.get_center(),
            y_m=given.get_center().y_m + 6 * given.get_pixel_geometry().height_m,
            x_m=given.get_center().x_m + 0.5 * given.get_pixel_geometry().width_m,
        ),
    )
    product = dataclasses.replace(parameters.product, object_=cut)
    *_, last = make(engine_type).reconstruct(dataclasses.replace(parameters, product=product))
    geometry, before = last.product.object_.get_geometry(), cut.get_geometry()
    assert geometry.height_px > before.height_px
    # Grown at the start alone: the far edges stay where they were.
    far = before.center_y_m + before.height_px / 2 * before.pixel_height_m
    assert geometry.center_y_m + geometry.height_px / 2 * geometry.pixel_height_m == pytest.approx(
        far, abs=1e-3 * before.pixel_height_m
    )


def test_the_probe_changes_only_when_asked(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    inference = InferenceConfig(refine_iterations=1, update_probe='on')
    *_, last = make(engine_type, inference=inference).reconstruct(parameters)
    given, probes = parameters.product.probes, last.product.probes
    before = given.get_probe_no_opr().get_array()
    np.testing.assert_allclose(probes.get_probe_no_opr().get_array(), 2 * before, rtol=1e-5)
    assert probes.get_pixel_geometry() == given.get_pixel_geometry()


def test_previews_come_between_and_not_too_often(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    engine_type.seconds_a_step = 0.05
    inference = InferenceConfig(refine_iterations=10)
    made = make(engine_type, inference=inference, preview_seconds=0.18)
    outputs = list(made.reconstruct(parameters))
    steps = [output.progress for output in outputs]
    assert steps == sorted(set(steps))
    assert steps[-1] == 10
    assert 2 <= len(outputs) <= 4
    quiet = make(engine_type, inference=inference, preview_seconds=None)
    assert len(list(quiet.reconstruct(parameters))) == 1


def test_a_stop_takes_effect_inside_a_long_step(
    engine_type: type[SlowEngine], parameters: ReconstructInput, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine_type.seconds_a_step = 20.0
    made, tasks = make(engine_type), Tasks(stop_after=0.2)
    made.connect_host(tasks)
    began = time.monotonic()
    assert list(made.reconstruct(parameters)) == []
    assert time.monotonic() - began < 1
    assert not jobs()
    first, *_, last = caplog.messages
    assert re.fullmatch(
        r'Reconstructing sample: \d+ frames, PyTorch, model unrolled.safetensors .*; '
        'settings: refine_iterations = 5',
        first,
    )
    assert last == 'Stopped: before there was an object to show; the product is as it was'


def test_a_closed_generator_stops_the_run(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    engine_type.seconds_a_step = 0.05
    made = make(engine_type, inference=InferenceConfig(refine_iterations=1000), preview_seconds=0.0)
    running = made.reconstruct(parameters)
    next(running)
    assert jobs()
    began = time.monotonic()
    running.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 1
    assert not jobs()


def test_the_progress_bar_moves_between_outputs(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    engine_type.seconds_a_step = 0.1
    made, tasks = make(engine_type), Tasks()
    made.connect_host(tasks)
    assert len(list(made.reconstruct(parameters))) == 1
    assert len(tasks.reports) >= 2
    assert tasks.reports[-1] == (5, 5)


def test_an_error_is_logged_and_raised(
    engine_type: type[SlowEngine], parameters: ReconstructInput, caplog: pytest.LogCaptureFixture
) -> None:
    engine_type.fails = failure()
    with pytest.raises(ReconstructionError, match='not finite'):
        list(make(engine_type).reconstruct(parameters))
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.name == 'ptychopinn_plugin'
    assert record.getMessage() == 'sample: the object is not finite'


def test_a_missing_backend_raises_with_the_command_that_installs_it(
    parameters: ReconstructInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__('sys').modules, 'ptychopinn_plugin.backends.tensorflow', None)
    made = PtychoPINNTrainableReconstructor(backend='tensorflow', engine_factory=in_process_engine)
    with pytest.raises(BackendUnavailableError, match=r'TensorFlow backend selected.*pip install'):
        list(made.reconstruct(parameters))


def test_the_engine_is_kept_while_the_execution_stays(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    made = make(engine_type)
    list(made.reconstruct(parameters))
    list(made.reconstruct(parameters))
    assert len(engine_type.made) == 1
    made.close()
    assert engine_type.made[0].closed
    list(made.reconstruct(parameters))
    assert len(engine_type.made) == 2


def with_product(parameters: ReconstructInput, **changes: Any) -> ReconstructInput:
    return dataclasses.replace(
        parameters, product=dataclasses.replace(parameters.product, **changes)
    )


def test_what_cannot_be_reconstructed_is_refused_with_a_sentence(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    made, given = make(engine_type), parameters.product.object_
    layers = Object(
        np.repeat(given.get_array(), 2, axis=0),
        given.get_pixel_geometry(),
        given.get_center(),
        layer_spacing_m=[1e-6],
    )
    with pytest.raises(ScanDataError, match='2 layers; one layer is needed'):
        list(made.reconstruct(with_product(parameters, object_=layers)))
    oblong = dataclasses.replace(
        parameters,
        diffraction_patterns=parameters.diffraction_patterns[:, :-2],
        bad_pixels=parameters.bad_pixels[:-2],
    )
    with pytest.raises(ScanDataError, match=r'square|\(\d+, N, N\)'):
        list(made.reconstruct(oblong))
    assert not engine_type.made or not engine_type.made[0].calls


def test_orthogonal_probe_relaxation_is_logged(
    engine_type: type[SlowEngine], parameters: ReconstructInput, caplog: pytest.LogCaptureFixture
) -> None:
    probes = parameters.product.probes
    array = np.concatenate([probes.get_array(), 0.1 * probes.get_array()])
    weights = np.ones((len(parameters.product.probe_positions), 2))
    varying = ProbeSequence(array, weights, probes.get_pixel_geometry())
    *_, last = make(engine_type).reconstruct(with_product(parameters, probes=varying))
    assert 'orthogonal' in caplog.text
    assert last.product.probes is varying


def test_bad_pixels_and_counts_reach_the_engine(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    list(make(engine_type).reconstruct(parameters))
    scan = engine_type.made[0].calls[0]['scan']
    assert scan.mask.sum() == 5
    np.testing.assert_array_equal(scan.mask, parameters.bad_pixels)
    assert scan.counts.dtype == np.float32
    assert scan.counts.sum() == pytest.approx(parameters.diffraction_patterns.sum())


def test_training_writes_the_model_and_uses_it(
    engine_type: type[SlowEngine],
    parameters: ReconstructInput,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    made = make(engine_type)
    outputs = list(made.train(folder, tmp_path / 'out'))
    assert outputs[0].progress == 0
    assert [len(output.training_loss) for output in outputs] == [0, 1, 2, 3, 4]
    last = outputs[-1]
    assert last.progress == made.get_progress_goal() == 8
    assert [loss.epoch for loss in last.validation_loss] == [1, 2, 3, 4]
    assert last.training_loss[1].value == pytest.approx(1 / 2)
    lines = [line for line in caplog.messages if line.startswith('Epoch ')]
    assert len(lines) == 4
    file = tmp_path / 'out' / 'model.safetensors'
    assert str(file) in caplog.text
    picture = tmp_path / 'out' / 'model-training.png'
    assert picture.stat().st_size > 5000
    assert f'A picture of the training is in {picture}' in caplog.messages
    assert made.is_model_loaded()
    assert load_model(file).weights['gain'] == 4
    *_, output = made.reconstruct(parameters)
    # Those of this reconstruction, not of the training.
    assert [loss.value for loss in output.product.losses] == pytest.approx(
        [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    )


def test_a_stopped_training_keeps_its_best_model(
    engine_type: type[SlowEngine], folder: Path, tmp_path: Path
) -> None:
    engine_type.seconds_a_step = 0.05
    made = make(engine_type, training=TrainingConfig(epochs=1000, steps_per_epoch=2))
    running = made.train(folder, tmp_path)
    for _ in range(3):
        next(running)
    began = time.monotonic()
    running.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 1
    assert load_model(tmp_path / 'model.safetensors').weights['gain'] >= 2
    assert made.is_model_loaded()
    assert not jobs()


def test_a_training_stopped_before_its_first_epoch_is_logged(
    engine_type: type[SlowEngine], folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine_type.seconds_a_step = 20.0
    made = make(engine_type)
    made.connect_host(Tasks(stop_after=0.2))
    assert len(list(made.train(folder, tmp_path))) == 1
    assert 'Stopped: before the end of the first epoch, so there is no new model' in caplog.text
    assert not (tmp_path / 'model.safetensors').exists()
    assert not made.is_model_loaded()


def test_a_training_that_fails_keeps_its_best_model(
    engine_type: type[SlowEngine], folder: Path, tmp_path: Path
) -> None:
    engine_type.fails = failure()
    made = make(engine_type)
    with pytest.raises(ReconstructionError):
        list(made.train(folder, tmp_path))
    assert load_model(tmp_path / 'model.safetensors').weights['gain'] == 1


def test_training_data_are_looked_for_in_order(
    engine_type: type[SlowEngine],
    parameters: ReconstructInput,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    made = make(engine_type, training=TrainingConfig(epochs=1, steps_per_epoch=1))

    def trained_on(where: Path) -> list[str]:
        list(made.train(where, tmp_path / 'out'))
        calls = [call for call in engine_type.made[0].calls if 'scans' in call]
        return [Path(scan.source.split(' + ')[0]).name for scan in calls[-1]['scans']]

    exports = tmp_path / 'exports'
    exports.mkdir()
    with pytest.raises(ScanDataError, match=r'nothing to train on.*Export Training Data'):
        trained_on(exports)
    made.export_training_data(exports / 'monday.npz', parameters)
    made.export_training_data(exports / 'tuesday.npz', parameters)
    assert trained_on(exports) == ['monday.npz', 'tuesday.npz']
    assert trained_on(exports / 'tuesday.npz') == ['tuesday.npz']
    assert trained_on(folder) == ['diffraction.h5']
    made.export_training_data(folder / 'train_data.npz', parameters)
    assert trained_on(folder) == ['train_data.npz']
    assert 'test_data.npz: residual' not in caplog.text
    made.export_training_data(folder / 'test_data.npz', parameters)
    assert trained_on(folder) == ['train_data.npz']
    assert 'test_data.npz: residual' in caplog.text


def test_exported_training_data_are_the_scan(
    engine_type: type[SlowEngine], parameters: ReconstructInput, tmp_path: Path
) -> None:
    make(engine_type).export_training_data(tmp_path / 'scan.npz', parameters)
    scan, read = scan_from_input(parameters), load_npz(tmp_path / 'scan.npz')
    np.testing.assert_array_equal(read.mask, scan.mask)
    np.testing.assert_array_equal(read.counts[:, ~scan.mask], scan.counts[:, ~scan.mask])
    np.testing.assert_array_equal(read.positions_px, scan.positions_px)
    np.testing.assert_array_equal(read.probe, scan.probe)
    assert read.object_guess is not None
    np.testing.assert_array_equal(read.object_guess, scan.object_guess)
    assert read.metadata.pixel_size_m == pytest.approx(scan.metadata.pixel_size_m)
    assert read.metadata.object_center_m == pytest.approx(scan.metadata.object_center_m)
    assert read.metadata.photon_energy_ev == scan.metadata.photon_energy_ev
    assert read.metadata.detector_distance_m == scan.metadata.detector_distance_m
    np.testing.assert_array_equal(read.metadata.scan_index, scan.metadata.scan_index)


def test_ptychodus_reads_probe_object_and_positions_of_an_export(
    engine_type: type[SlowEngine], parameters: ReconstructInput, tmp_path: Path
) -> None:
    from ptychodus.plugins.slac_npz_file import SLACProductFileReader

    make(engine_type).export_training_data(tmp_path / 'scan.npz', parameters)
    product = SLACProductFileReader().read(tmp_path / 'scan.npz')
    given = parameters.product
    assert photon_energy_ev(product.metadata) == pytest.approx(8800)
    assert product.metadata.detector_distance_m == pytest.approx(1.9)
    before, after = ([point.x_m for point in each.probe_positions] for each in (given, product))
    assert np.ptp(after) == pytest.approx(np.ptp(before), rel=1e-4)
    assert product.probes.get_array().shape[-2:] == given.probes.get_array().shape[-2:]


def test_as_many_frames_as_pixels_can_be_read_again(tmp_path: Path) -> None:
    from tests.helpers import make_scan

    scan = make_scan(frame_size=16, side=4, step_px=3.0)
    save_npz(tmp_path / 'scan.npz', scan)
    np.testing.assert_array_equal(load_npz(tmp_path / 'scan.npz').counts, scan.counts)


def test_models_are_loaded_saved_and_refused(
    engine_type: type[SlowEngine], folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = make(engine_type)
    with pytest.raises(ModelMismatchError, match='no model to save'):
        made.save_model(tmp_path / 'none.safetensors')
    list(itertools.islice(made.train(folder, tmp_path), 9))
    made.save_model(tmp_path / 'copy.safetensors')
    other = make(engine_type)
    other.load_model_from_file(tmp_path / 'copy.safetensors')
    assert other.is_model_loaded()
    (tmp_path / 'bad.safetensors').write_bytes(b'no model')
    with pytest.raises(ModelFileError):
        other.load_model_from_file(tmp_path / 'bad.safetensors')
    assert 'not a .safetensors file' in caplog.text


def test_without_a_name_the_backend_is_that_of_the_execution(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    made = PtychoPINNTrainableReconstructor(
        execution=ExecutionConfig(backend='pytorch', threads=3),
        inference=InferenceConfig(refine_iterations=1),
        engine_factory=engine_type,
    )
    list(made.reconstruct(parameters))
    assert engine_type.made[0].execution.threads == 3


def test_a_stopped_reconstruction_says_which_object_is_kept(
    engine_type: type[SlowEngine], parameters: ReconstructInput, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine_type.seconds_a_step = 0.05
    inference = InferenceConfig(refine_iterations=1000)
    running = make(engine_type, inference=inference, preview_seconds=0.0).reconstruct(parameters)
    step = next(running).progress
    running.close()  # type: ignore[attr-defined]
    kept = f'Stopped: the product keeps the object of step {step} of 1000'
    assert caplog.messages[-1] == kept
    made = make(engine_type, inference=inference, preview_seconds=0.0)
    made.connect_host(Tasks(stop_after=0.3))
    step = [output.progress for output in made.reconstruct(parameters)][-1]
    assert caplog.messages[-1] == f'Stopped: the product keeps the object of step {step} of 1000'


def test_a_training_that_is_closed_before_its_first_epoch_says_that_there_is_no_model(
    engine_type: type[SlowEngine], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine_type.seconds_a_step = 0.3
    (folder / 'model.safetensors').write_bytes(b'of yesterday')
    training = TrainingConfig(epochs=4, steps_per_epoch=100)
    made = make(engine_type, training=training)
    made.connect_host(Tasks(stop_after=0.1))
    list(made.train(folder, folder))
    assert 'there is no new model' in caplog.messages[-1]
    assert f'{folder / "model.safetensors"} stays as it was' in caplog.messages[-1]
    assert (folder / 'model.safetensors').read_bytes() == b'of yesterday'


def test_a_second_training_in_a_folder_keeps_the_first(
    engine_type: type[SlowEngine], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    list(make(engine_type, training=TrainingConfig(epochs=2)).train(folder, folder))
    list(make(engine_type, training=TrainingConfig(epochs=4)).train(folder, folder))
    (earlier,) = folder.glob('model-*.safetensors')
    assert load_model(folder / 'model.safetensors').weights['gain'] == 4
    assert load_model(earlier).weights['gain'] == 2
    assert earlier.name in caplog.text


def test_the_seconds_of_an_epoch_are_its_own(
    engine_type: type[SlowEngine], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    list(make(engine_type).train(folder, folder))
    lines = [line for line in caplog.messages if line.startswith('Epoch')]
    assert [line.rpartition(', ')[2] for line in lines] == ['1.0 s'] * 4


def test_a_test_scan_leaves_the_progress_of_the_training(
    engine_type: type[SlowEngine], parameters: ReconstructInput, tmp_path: Path
) -> None:
    made, tasks = make(engine_type), Tasks()
    for name in ('train_data.npz', 'test_data.npz'):
        made.export_training_data(tmp_path / name, parameters)
    made.connect_host(tasks)
    list(made.train(tmp_path, tmp_path))
    assert len(engine_type.made[0].calls) == 2  # the training and the test
    assert tasks.reports == [(8, 8)] or tasks.reports[-1] == (8, 8)
    assert tasks.reports == sorted(tasks.reports)


def test_the_model_of_the_package_is_used_unless_it_is_switched_off(
    engine_type: type[SlowEngine], parameters: ReconstructInput
) -> None:
    list(make(engine_type).reconstruct(parameters))
    assert engine_type.made[-1].calls[-1]['model'] is packaged_model()
    off = InferenceConfig(refine_iterations=1, closing_stage=False)
    list(make(engine_type, inference=off).reconstruct(parameters))
    assert engine_type.made[-1].calls[-1]['model'] is None


@pytest.mark.parametrize('name', ['sample_ptychopinn-plugin_pinn', 'sample'])
def test_messages_and_comments_name_product_model_and_settings(
    engine_type: type[SlowEngine],
    parameters: ReconstructInput,
    folder: Path,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    given = parameters.product
    metadata = dataclasses.replace(given.metadata, name=name)
    named = dataclasses.replace(parameters, product=dataclasses.replace(given, metadata=metadata))
    inference = InferenceConfig(refine_iterations=1, initial='product')
    made = make(engine_type, inference=inference, training=TrainingConfig(epochs=1))
    list(made.train(folder, folder))
    *_, first = made.reconstruct(named)
    assert first.product.metadata.name == name
    assert 'Reconstructed sample with PyTorch, model model.safetensors (' in caplog.text
    assert '1 iteration in' in caplog.text
    assert 'settings: refine_iterations = 1, initial = "product"' in caplog.text
    comments = first.product.metadata.comments
    file = str((folder / 'model.safetensors').resolve())
    for words in (f'model file: {file}', '1 epoch,', 'refine_iterations = 1, initial = "product"'):
        assert words in comments
    made.loaded_model.unload()
    *_, second = made.reconstruct(dataclasses.replace(named, product=first.product))
    assert 'model file: packaged, ' in second.product.metadata.comments
    assert file not in second.product.metadata.comments
    assert second.product.metadata.comments.count('settings: ') == 1
    engine_type.fails = failure()
    with pytest.raises(ReconstructionError):
        list(make(engine_type).reconstruct(named))
    assert caplog.messages[-1] == 'sample: the object is not finite'


def test_an_error_that_is_not_ours_is_a_sentence_too(
    engine_type: type[SlowEngine], parameters: ReconstructInput, caplog: pytest.LogCaptureFixture
) -> None:
    engine_type.fails = IndexError('out of range')
    with pytest.raises(IndexError):
        list(make(engine_type).reconstruct(parameters))
    assert caplog.messages[-1] == 'sample: unexpected error: out of range (IndexError)'


def test_an_export_gets_its_ending(
    engine_type: type[SlowEngine], parameters: ReconstructInput, tmp_path: Path
) -> None:
    made = make(engine_type)
    for chosen, written in {
        'scan': 'scan.npz',
        'scan.2026': 'scan.2026.npz',
        'other.npz': 'other.npz',
        'UPPER.NPZ': 'UPPER.NPZ',
    }.items():
        made.export_training_data(tmp_path / chosen, parameters)
        assert load_npz(tmp_path / written).frame_count == 36
    assert len(list(tmp_path.iterdir())) == 4
    before = (tmp_path / 'scan.npz').read_bytes()
    with pytest.raises(OutputError, match=r'no ending \.npz, and .*scan\.npz is there already'):
        made.export_training_data(tmp_path / 'scan', parameters)
    assert (tmp_path / 'scan.npz').read_bytes() == before
    made.export_training_data(tmp_path / 'scan.npz', parameters)
