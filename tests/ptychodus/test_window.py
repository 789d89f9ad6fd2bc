"""The window of Ptychodus, off screen: pick, set, train, stop, infer, load, export."""

from __future__ import annotations

import html
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('PyQt5.QtWidgets', exc_type=ImportError)
os.environ.setdefault('QT_QPA_PLATFORM', 'offscreen')

from ptychodus.model import ModelCore
from PyQt5.QtCore import QPoint, QPointF, Qt
from PyQt5.QtGui import QWheelEvent
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QGroupBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QWidget,
)

import ptychopinn_plugin
from ptychopinn_plugin.config import (
    CheckpointConfig,
    DetectorConfig,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.base import field_traits, help_text
from ptychopinn_plugin.hosts.engine_cache import EngineCache, in_process_engine
from ptychopinn_plugin.hosts.ptychodus.library import PtychoPINNReconstructorLibrary
from ptychopinn_plugin.hosts.ptychodus.page_fields import PageField, page_fields
from ptychopinn_plugin.hosts.ptychodus.parameters import AUTOMATIC
from ptychopinn_plugin.hosts.ptychodus.processing_core import find_libraries
from ptychopinn_plugin.io.model_file import load_model
from tests.fake_engine import fake_model
from tests.helpers import KnownScan
from tests.ptychodus.fake_engines import SlowEngine, failure

pytestmark = [
    pytest.mark.integration,
    # Raised by Ptychodus' own imports.
    pytest.mark.filterwarnings("ignore:'xdrlib' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings('ignore::DeprecationWarning:ptychodus.*'),
]

PINN = 'ptychopinn-plugin_pinn'
CONFIGS = (
    ModelConfig,
    TrainingConfig,
    InferenceConfig,
    ExecutionConfig,
    OrientationConfig,
    DetectorConfig,
    CheckpointConfig,
)


class Window:
    """The window, and the hands of a user.

    Attributes:
        first: the algorithm that the window showed at first, and the one that it would have run.
    """

    first: tuple[str, str]

    def __init__(self, model: Any, application: QApplication, shots: Path) -> None:
        from ptychodus.controller import ControllerCore
        from ptychodus.view import ViewCore

        self.model, self.application, self.shots = model, application, shots
        self.view: Any = ViewCore(is_developer_mode_enabled=False)
        self.controller: Any = ControllerCore(model, self.view, is_developer_mode_enabled=False)
        self.view.resize(1500, 950)
        self.controller.show_main_window('test')
        self.controller._swap_central_widgets(self.view.processing_action)
        self.processing: Any = self.controller._processing_controller
        self.monitor = model.processing_core.processing_api.task_monitor
        self.infer_button = self.processing._actions_view.reconstruct_button
        self.train_button = self.processing._actions_view.train_button
        self.status: Any = self.view.processing_status_view

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.pane()
            self.application.processEvents()
            self.model.run_tasks()
            time.sleep(0.01)
        self.application.processEvents()
        self.model.run_tasks()

    def choose(self, combo: QComboBox, text: str) -> None:
        combo.setCurrentText(text)
        combo.activated.emit(combo.currentIndex())
        combo.textActivated.emit(text)

    @property
    def parameter(self) -> Any:
        return self.model.processing_core.algorithm_parameter

    @property
    def reconstructor(self) -> Any:
        return self.parameter.get_current_reconstructor()

    @property
    def algorithm(self) -> QComboBox:
        combo: QComboBox = self.processing._algorithm_view_controller.get_widget()
        return combo

    @property
    def page(self) -> QWidget:
        page: QWidget = self.processing._stacked_widget.currentWidget()
        return page

    @property
    def backend(self) -> QComboBox:
        combo = self.field('Execution.backend')
        assert isinstance(combo, QComboBox)
        return combo

    def field(self, name: str) -> Any:
        """Return a field of the page that is shown: its heading and its name."""
        found = self.page.findChild(QWidget, name)
        assert found is not None, name
        return found

    def is_shown(self, name: str) -> bool:
        return bool(self.field(name).isVisible())

    def unfold(self) -> QToolButton:
        """Click on Advanced."""
        (title,) = [b for b in self.page.findChildren(QToolButton) if b.text() == 'Advanced']
        title.click()
        self.until(lambda: True)
        return title

    def type(self, name: str, text: str) -> None:
        """Write a text into a number field in place of what is there, and leave it."""
        edit = self.field(name).findChild(QLineEdit)
        edit.selectAll()
        keyboard: Any = QTest  # its stubs lack the static form
        keyboard.keyClicks(edit, text)
        self.field(name).editingFinished.emit()

    def open(self, folder: Path) -> None:
        data = self.model.workflow_api.load_assembled_diffraction_data(folder / 'diffraction.h5')
        product = self.model.workflow_api.load_product(folder / 'product.h5', diffraction=data)
        self.until(lambda: True)
        combo = self.processing._product_view_controller.get_widget()
        combo.setCurrentIndex(product.get_product_index())

    def press(self, button: Any) -> None:
        assert button.isEnabled(), self.pane()
        runs = self.monitor.get_completed_runs()
        button.click()
        self.until(lambda: self.monitor.is_processing or self.monitor.get_completed_runs() > runs)

    def finish(self, seconds: float = 20.0) -> None:
        self.until(lambda: not self.monitor.is_processing, seconds)

    def answer(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        factory = type(self.processing._file_dialog_factory)
        for name in ('get_open_file_path', 'get_save_file_path'):
            monkeypatch.setattr(factory, name, lambda *_, **__: (path, ''))
        monkeypatch.setattr(factory, 'get_existing_directory_path', lambda *_, **__: path)

    def loaded_text(self) -> str:
        """Return what the page says of the loaded model."""
        (box,) = [b for b in self.page.findChildren(QGroupBox) if b.title() == 'Loaded model']
        return str(box.findChild(QLabel).text())

    def pane(self) -> str:
        text: str = self.status.text_edit.toPlainText()
        return text

    def shoot(self, name: str) -> None:
        assert self.view.grab().save(str(self.shots / f'{name}.png'))


@pytest.fixture(scope='module')
def opened(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    """Open one window for all tests: Qt does not outlive the second one in a process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    application: Any = QApplication.instance() or QApplication(['test'])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            'ptychopinn_plugin.backends.registry._is_installed', lambda name: name == 'pytorch'
        )
        ptychopinn_plugin.install()
        shots = Path(os.environ.get('PTYCHOPINN_SHOTS') or tmp_path_factory.mktemp('shots'))
        with ModelCore(log_level=logging.INFO) as model:
            made = Window(model, application, shots)
            made.first = (made.algorithm.currentText(), made.parameter.get_value())
            made.open(stored)
            yield made
            made.controller._run_tasks_timer.stop()
            made.view.close()
    application.kept = made  # not to be collected while other tests run
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ('ptychopinn_plugin', 'ptychopinn_plugin.hosts.ptychodus.processing_core'):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def window(opened: Window, engine_type: type[SlowEngine]) -> Window:
    """Return the window with PINN picked, its settings at their defaults and a fresh engine."""
    logging.getLogger('ptychopinn_plugin').setLevel(logging.INFO)
    opened.choose(opened.algorithm, PINN)
    opened.reconstructor._engines = EngineCache(engine_type)
    opened.reconstructor.loaded_model.unload()
    registry = opened.model.settings_registry
    for config in CONFIGS:
        group = registry[f'PtychoPINNPlugin{config.__name__.removesuffix("Config")}']
        for name, field in config.model_fields.items():
            own = field_traits(field).defaults
            group.parameters()[name].set_value(AUTOMATIC if own else field.default)
    set_value(opened, 'Execution', 'backend', 'pytorch')
    opened.status.text_edit.clear()
    return opened


def set_value(window: Window, group: str, name: str, value: Any) -> None:
    window.model.settings_registry[f'PtychoPINNPlugin{group}'].parameters()[name].set_value(value)


def fields(window: Window) -> dict[str, PageField]:
    """Return the fields of the page by their names in the window."""
    (library,) = [
        each for each in find_libraries(window.parameter) if each.name == 'PtychoPINN-Plugin'
    ]
    assert isinstance(library, PtychoPINNReconstructorLibrary)
    return {f'{field.heading}.{field.name}': field for field in page_fields(library.settings)}


def test_the_page_holds_every_field_with_its_help(window: Window) -> None:
    listed = [window.algorithm.itemText(i) for i in range(window.algorithm.count())]
    assert {PINN, 'ptychopinn-plugin_supervised'} <= set(listed)
    declared = fields(window)
    assert len(declared) == sum(len(config.model_fields) for config in CONFIGS)
    labels = {label.text(): label for label in window.page.findChildren(QLabel)}
    for name, field in declared.items():
        if field.name == 'model_type':  # an algorithm of its own
            assert window.page.findChild(QWidget, name) is None
            continue
        tip = window.field(name).toolTip()
        assert html.escape(help_text(field.field)) in tip
        assert html.escape(help_text(field.field)) in labels[field.label].toolTip() or (
            sum(field.label == other.label for other in declared.values()) > 1
        )
    names = [window.backend.itemText(i) for i in range(window.backend.count())]
    assert names == ['TensorFlow (not installed)', 'PyTorch']
    assert window.backend.currentText() == 'PyTorch'
    window.shoot('page')


def test_groups_and_labels_are_in_the_words_and_the_order_of_use(window: Window) -> None:
    titles = [box.title() for box in window.page.findChildren(QGroupBox) if box.isVisible()]
    assert titles == ['Loaded model', 'Reconstruction', 'Training', 'Model', 'Execution']
    labels = {name: field.label for name, field in fields(window).items()}
    for name, label in {
        'Reconstruction.refine_iterations': 'Physics iterations:',
        'Reconstruction.cnn_refine_iterations': 'Physics iterations after the network:',
        'Model.gridsize': 'Frames per group side:',
        'Training.nphotons': 'Photons per frame [photons]:',
        'Training.gradient_clip_val': 'Clip gradient norm:',
        'Training.learning_rate': 'Learning rate:',
        'Training.early_stop_patience': 'Patience [epochs]:',
    }.items():
        assert labels[name] == label
    assert window.field('Training.learning_rate').lineEdit().text() == 'automatic'


def test_the_algorithm_that_is_shown_is_the_one_that_runs(window: Window) -> None:
    shown, run = window.first
    assert shown == run


def test_advanced_fields_are_folded_away(window: Window) -> None:
    assert not window.is_shown('Reconstruction.subsets')
    title = window.unfold()
    assert window.is_shown('Reconstruction.subsets')
    window.shoot('advanced')
    title.click()
    assert not window.is_shown('Reconstruction.subsets')


def test_what_is_typed_reaches_the_next_run(window: Window, engine_type: type[SlowEngine]) -> None:
    window.type('Reconstruction.refine_iterations', '7')
    window.choose(window.field('Reconstruction.initial'), 'product')
    window.field('Reconstruction.auto').click()
    window.press(window.infer_button)
    window.finish()
    inference = engine_type.made[0].calls[0]['inference']
    assert inference == InferenceConfig(refine_iterations=7, initial='product', auto=True)


@pytest.mark.parametrize(
    ('name', 'typed', 'shown'),
    [
        ('Training.epochs', '0', 'automatic (8)'),
        ('Training.epochs', '-1', 'automatic (8)'),
        ('Training.steps_per_epoch', '0', '1'),
        ('Training.early_stop_patience', '99999999', '100000'),
        ('Reconstruction.probe_modes', '100', '6'),
        ('Reconstruction.refine_iterations', '1.7', '24'),
        ('Reconstruction.refine_iterations', '1,000', '24'),
        ('Reconstruction.refine_iterations', '', '24'),
        ('Reconstruction.refine_iterations', '1e3', '1000'),
        ('Reconstruction.object_step', '0', '0.5'),
        ('Reconstruction.object_step', '1.75', '1.75'),
        ('Reconstruction.momentum', '1', '0.9'),
        ('Training.learning_rate', '2e-5', '2e-05'),
        ('Training.learning_rate', '0', 'automatic'),
        ('Training.learning_rate', '-3', 'automatic'),
    ],
)
def test_a_field_shows_the_number_that_is_used(
    window: Window, name: str, typed: str, shown: str
) -> None:
    window.type(name, typed)
    text = window.field(name).lineEdit().text()
    assert text == shown
    used = fields(window)[name].parameter.get_value()
    assert float('0' if text.startswith('automatic') else text) == used
    assert repr(used) == fields(window)[name].parameter.get_value_as_string()


def test_arrows_stay_in_the_range(window: Window) -> None:
    field = window.field('Training.steps_per_epoch')
    window.type('Training.steps_per_epoch', '2')
    field.stepBy(-1)
    assert field.number == 1
    assert not field.stepEnabled() & QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
    field.stepBy(-1)
    assert field.number == 1
    momentum = window.field('Reconstruction.momentum')
    momentum.stepBy(1)
    assert momentum.number == 0.9  # 1 is outside


def test_the_mouse_wheel_is_left_to_the_page(window: Window) -> None:
    parameters = window.model.settings_registry['PtychoPINNPluginInference'].parameters()
    values = {name: parameter.get_value() for name, parameter in parameters.items()}
    for name in ('refine_iterations', 'initial', 'probe_modes'):
        field = window.field(f'Reconstruction.{name}')
        field.setFocus()
        assert not turn_wheel(window.application, field)
    assert {name: parameter.get_value() for name, parameter in parameters.items()} == values


def turn_wheel(application: QApplication, widget: QWidget) -> bool:
    """Turn the wheel down over a widget; return whether the widget used it."""
    middle = QPointF(widget.rect().center())
    where = QPointF(widget.mapToGlobal(widget.rect().center()))
    turned = QPoint(0, -120)
    phase = Qt.ScrollPhase.NoScrollPhase
    buttons, keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    event = QWheelEvent(middle, where, turned, turned, buttons, keys, phase, False)
    event.accept()
    application.sendEvent(widget, event)
    application.processEvents()
    return event.isAccepted()


def test_a_backend_that_is_not_installed_is_taken_at_its_word(window: Window) -> None:
    window.reconstructor._engines = EngineCache(in_process_engine)
    window.choose(window.backend, 'TensorFlow (not installed)')
    settings = window.model.settings_registry['PtychoPINNPluginExecution'].parameters()
    assert settings['backend'].get_value() == 'tensorflow'
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__('sys').modules, 'ptychopinn_plugin.backends.tensorflow', None)
        window.press(window.infer_button)
        window.finish()
        window.until(lambda: 'pip install' in window.pane())
    assert 'TensorFlow backend selected' in window.pane()
    assert settings['backend'].get_value() == 'tensorflow'
    window.shoot('not-installed')
    settings['backend'].set_value('pytorch')
    assert window.backend.currentText() == 'PyTorch'


def test_infer_works_without_a_model_and_shows_its_losses(window: Window) -> None:
    assert window.infer_button.text() == 'Infer'
    set_value(window, 'Inference', 'refine_iterations', 5)
    window.press(window.infer_button)
    window.finish()
    window.until(lambda: len(window.status.axes.lines) == 1)
    assert list(window.status.axes.lines[0].get_xdata()) == [1, 2, 3, 4, 5]
    assert 'unrolled.safetensors' in window.pane()
    window.shoot('inferred')


def test_train_stop_infer_load_and_export(
    window: Window,
    engine_type: type[SlowEngine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / 'training'
    folder.mkdir()
    window.answer(monkeypatch, folder / 'train_data.npz')
    window.processing._export_training_data_action.trigger()
    assert (folder / 'train_data.npz').exists()
    window.answer(monkeypatch, folder)
    engine_type.seconds_a_step = 0.1
    for name, value in {'epochs': 500, 'steps_per_epoch': 2}.items():
        set_value(window, 'Training', name, value)
    window.press(window.train_button)
    window.until(lambda: 'Epoch 2' in window.pane())
    assert window.status.progress_bar.isVisible()
    assert window.status.progress_bar.maximum() == 1000
    assert window.status.stop_button.isVisible()
    window.shoot('training')
    began = time.monotonic()
    window.status.stop_button.click()
    window.finish()
    assert time.monotonic() - began < 1
    window.until(lambda: 'Stopped; the best model so far is in' in window.pane())
    assert load_model(folder / 'model.safetensors').weights['gain'] >= 2
    engine_type.seconds_a_step = 0.0
    window.press(window.infer_button)
    window.finish()
    assert engine_type.made[-1].calls[-1]['model'] is not None
    window.until(lambda: len(window.status.axes.lines) == 1)
    assert window.status.axes.lines[0].get_ydata()[1] == pytest.approx(0.5)
    assert len(window.status.axes.lines[0].get_ydata()) == 24  # not the losses of the training
    window.shoot('inferred-with-model')
    window.answer(monkeypatch, folder / 'model.safetensors')
    window.reconstructor.loaded_model.unload()
    window.status.text_edit.clear()
    window.processing._load_model_action.trigger()
    assert window.reconstructor.is_model_loaded()
    window.until(lambda: 'Infer now uses model.safetensors (unrolled' in window.pane(), 5)
    assert 'model.safetensors' in window.loaded_text()


def test_the_pane_follows_its_last_line_until_the_user_scrolls(
    window: Window, engine_type: type[SlowEngine], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    window.answer(monkeypatch, folder)
    engine_type.seconds_a_step = 0.05
    for name, value in {'epochs': 500, 'steps_per_epoch': 2}.items():
        set_value(window, 'Training', name, value)
    bar = window.status.text_edit.verticalScrollBar()
    for _ in range(12):  # a full pane, that the progress bar then makes smaller
        window.status.text_edit.appendPlainText('a line')
    window.until(lambda: True)
    window.press(window.train_button)
    window.until(lambda: 'Epoch 9' in window.pane())
    assert bar.value() == bar.maximum() > 0
    bar.triggerAction(bar.SliderToMinimum)
    window.until(lambda: 'Epoch 12' in window.pane())
    assert bar.value() == 0
    bar.triggerAction(bar.SliderToMaximum)
    window.until(lambda: 'Epoch 15' in window.pane())
    assert bar.value() == bar.maximum()
    window.status.stop_button.click()
    window.finish()


def test_an_error_is_shown_and_the_window_goes_on(
    window: Window, engine_type: type[SlowEngine]
) -> None:
    engine_type.fails = failure()
    window.press(window.infer_button)
    window.finish()
    window.until(lambda: 'not finite' in window.pane())
    engine_type.fails = None
    window.press(window.infer_button)
    window.finish()
    window.until(lambda: 'unrolled.safetensors' in window.pane())


def test_the_page_shows_the_fields_that_have_an_effect(window: Window) -> None:
    title = window.unfold()
    assert window.is_shown('Training.steps_per_epoch')
    assert not window.is_shown('Model.gridsize')
    for name in ('devices', 'num_nodes', 'strategy'):
        assert window.is_shown(f'Execution.{name}')
    set_value(window, 'Execution', 'backend', 'tensorflow')
    for name in ('devices', 'num_nodes', 'strategy'):
        assert not window.is_shown(f'Execution.{name}')
    set_value(window, 'Execution', 'backend', 'pytorch')
    set_value(window, 'Model', 'architecture', 'cnn')
    assert window.is_shown('Model.gridsize')
    assert window.field('Training.epochs').lineEdit().text() == 'automatic (60)'
    assert window.is_shown('Model.probe_big')
    assert window.is_shown('Reconstruction.refine_iterations')
    assert not window.is_shown('Training.steps_per_epoch')
    assert window.is_shown('Orientation.flip_x')
    title.click()
    assert not window.is_shown('Model.probe_big')
    window.until(lambda: True)
    window.shoot('cnn')
    set_value(window, 'Model', 'architecture', 'unrolled')
    title.click()
    assert window.is_shown('Model.width')
    title.click()


@pytest.mark.parametrize('architecture', ['cnn', 'unrolled'])
def test_one_field_says_the_physics_iterations_of_a_loaded_model(
    window: Window, known: KnownScan, architecture: str
) -> None:
    names = 'Reconstruction.refine_iterations', 'Reconstruction.cnn_refine_iterations'
    assert [window.is_shown(name) for name in names] == [True, False]
    assert window.is_shown('Reconstruction.closing_stage')
    assert window.is_shown('Reconstruction.object_prior')
    network = ModelConfig.model_validate({'architecture': architecture})
    model = fake_model(known.scan, [(1.0, 1.0)] * 3, network)
    setting = threading.Thread(
        target=window.reconstructor.loaded_model.set, args=(model, Path('/data/star.safetensors'))
    )
    setting.start()
    setting.join()
    window.until(lambda: True)
    assert [window.is_shown(name) for name in names] == [
        architecture == 'unrolled',
        architecture == 'cnn',
    ]
    assert window.is_shown('Reconstruction.closing_stage') == (architecture == 'unrolled')
    assert window.is_shown('Reconstruction.object_prior')
    text = window.loaded_text()
    for word in ('star.safetensors', architecture, '3 epochs', 'PyTorch'):
        assert word in text
    window.shoot(f'loaded-{architecture}')
    (unload,) = [b for b in window.page.findChildren(QPushButton) if b.text() == 'Unload']
    unload.click()
    assert not window.reconstructor.is_model_loaded()
    assert not unload.isVisible()
    assert 'model of the package' in window.loaded_text()
    assert [window.is_shown(name) for name in names] == [True, False]


def test_a_shorter_page_does_not_scroll_into_nothing(window: Window) -> None:
    title = window.unfold()
    window.choose(window.algorithm, 'ptychopinn-plugin_supervised')
    window.until(lambda: True)
    assert window.page.height() >= window.page.sizeHint().height()
    slack = window.processing._stacked_widget.height() - window.page.sizeHint().height()
    room = window.processing._scroll_area.viewport().height() - window.page.sizeHint().height()
    assert slack <= max(room, 0) + 1
    window.choose(window.algorithm, PINN)
    title.click()


def test_supervised_has_a_page_of_its_own_and_reports_what_it_lacks(
    window: Window, monkeypatch: pytest.MonkeyPatch, stored: Path
) -> None:
    window.choose(window.algorithm, 'ptychopinn-plugin_supervised')
    assert window.is_shown('Model.gridsize')
    for name in ('architecture', 'model_type'):
        assert window.page.findChild(QWidget, f'Model.{name}') is None
    assert not window.is_shown('Training.steps_per_epoch')
    assert window.field('Training.epochs').lineEdit().text() == 'automatic (60)'
    window.shoot('supervised')
    window.answer(monkeypatch, stored)
    window.press(window.train_button)
    window.finish()
    window.until(lambda: 'objectGuess is flat' in window.pane())


def test_a_file_is_chosen_by_its_button(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    button = window.field('Detector.background_file').findChild(QPushButton)
    line = window.field('Detector.background_file').findChild(QLineEdit)
    chosen = iter([('/data/dark.npy', ''), ('', '')])
    monkeypatch.setattr(QFileDialog, 'getOpenFileName', lambda *_: next(chosen))
    for _ in range(2):  # the second dialog is left without a choice
        button.click()
        assert line.text() == '/data/dark.npy'
        assert fields(window)['Detector.background_file'].parameter.get_value() == '/data/dark.npy'
    folders = iter(['/data/states', ''])
    monkeypatch.setattr(QFileDialog, 'getExistingDirectory', lambda *_: next(folders))
    for _ in range(2):
        window.field('Checkpoints.folder').findChild(QPushButton).click()
        assert fields(window)['Checkpoints.folder'].parameter.get_value() == '/data/states'
