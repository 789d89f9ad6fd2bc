"""Take the pictures of docs/first-in-ptychodus.md from the real window, off screen.

usage: QT_QPA_PLATFORM=offscreen python docs/make_screenshots.py [FOLDER]

Simulates a scan, opens the window of Ptychodus with it, reconstructs with the real engine, and
writes one picture a step into FOLDER (docs/images/ptychodus). Needs the extras `pytorch` and `gui`.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PyQt5.QtCore import QBuffer
from PyQt5.QtWidgets import QApplication, QComboBox, QTreeView, QWidget

import ptychopinn_plugin as pp
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair

FOLDER = Path(__file__).parent / 'images' / 'ptychodus'
ALGORITHM = 'ptychopinn-plugin_pinn'
SIZE_PX = (1240, 780)
COLOURS = 64  # of a picture: a third of the bytes, and no difference that can be seen
SECONDS = 300.0
SCAN = pp.SimulationConfig(rows=16, columns=16, object_kind='siemens', seed=1)


class Window:
    """The window of Ptychodus with a scan opened, driven as by a user."""

    def __init__(self, model: Any, application: QApplication) -> None:  # noqa: ANN401  no stubs
        from ptychodus.controller import ControllerCore
        from ptychodus.view import ViewCore

        self._model, self._application = model, application
        self.view: Any = ViewCore(is_developer_mode_enabled=False)
        self.controller: Any = ControllerCore(model, self.view, is_developer_mode_enabled=False)
        self.view.resize(*SIZE_PX)
        self.controller.show_main_window('ptychodus')

    def show(self, action: str) -> None:
        """Change to a part of the window, by the name of its button."""
        getattr(self.view, f'{action}_action').trigger()
        self.run_until(lambda: True)

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Run the window until something has happened.

        Raises:
            TimeoutError: it has not.
        """
        end = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(self.view.processing_status_view.text_edit.toPlainText())
            self._application.processEvents()
            self._model.run_tasks()
            time.sleep(0.01)
        for _ in range(5):
            self._application.processEvents()
            self._model.run_tasks()

    def open_scan(self, folder: Path) -> None:
        """Open a scan, and pick its product and the algorithm."""
        api = self._model.workflow_api
        data = api.load_assembled_diffraction_data(folder / 'diffraction.h5')
        api.load_product(folder / 'product.h5', diffraction=data)
        self.run_until(lambda: True)
        processing = self.controller._processing_controller
        processing._product_view_controller.get_widget().setCurrentIndex(0)
        combo: QComboBox = processing._algorithm_view_controller.get_widget()
        combo.setCurrentText(ALGORITHM)
        combo.activated.emit(combo.currentIndex())
        combo.textActivated.emit(ALGORITHM)
        self.run_until(lambda: True)

    def infer(self) -> None:
        """Press Infer and wait until the reconstruction is done."""
        monitor = self._model.processing_core.processing_api.task_monitor
        runs = monitor.get_completed_runs()
        self.controller._processing_controller._actions_view.reconstruct_button.click()
        self.run_until(lambda: monitor.is_processing or monitor.get_completed_runs() > runs)
        self.run_until(lambda: not monitor.is_processing)

    def show_object(self, number: int) -> None:
        """Show the phase of an object, by its number in the list."""
        self.show('object')
        tree = self.view.object_view.findChild(QTreeView)
        tree.setCurrentIndex(tree.model().index(number, 0))
        for combo in self.view.centralWidget().findChildren(QComboBox):
            if combo.isVisible() and (place := combo.findText('Phase')) >= 0:
                combo.setCurrentIndex(place)
                combo.textActivated.emit(combo.currentText())
        self.run_until(lambda: True)

    def close(self) -> None:
        """Stop the timer that would run the window on."""
        self.controller._run_tasks_timer.stop()
        self.view.close()


def picture(widget: QWidget) -> bytes:
    """Return what a widget shows as a PNG of few colours."""
    buffer = QBuffer()
    buffer.open(QBuffer.WriteOnly)
    widget.grab().save(buffer, 'PNG')
    shown = Image.open(io.BytesIO(bytes(buffer.data()))).convert('RGB')
    light = shown.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    made = io.BytesIO()
    light.save(made, format='png', optimize=True)
    return made.getvalue()


def pictures(window: Window, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the picture of each step of the page.

    Args:
        window: just opened.
        folder: holds the scan.
    """
    window.open_scan(folder)
    window.show('diffraction')
    yield 'diffraction', picture(window.view)
    window.show('processing')
    yield 'settings', picture(window.view)
    window.infer()
    yield 'result', picture(window.view)
    window.show_object(1)
    yield 'object', picture(window.view)


def main() -> None:
    """Take all pictures."""
    from ptychodus.model import ModelCore

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    application = QApplication(['ptychodus'])
    pp.install()
    logging.getLogger('ptychopinn_plugin').setLevel(logging.INFO)  # for the status pane
    with tempfile.TemporaryDirectory() as scan, ModelCore(log_level=logging.INFO) as model:
        simulated = pp.simulate(SCAN)
        # An empty object: that of the simulation is what is looked for.
        empty = np.ones_like(simulated.ground_truth)
        execution = model.settings_registry['PtychoPINNPluginExecution']
        execution.parameters()['backend'].set_value('pytorch')
        save_ptychodus_pair(Path(scan), dataclasses.replace(simulated.scan, object_guess=empty))
        window = Window(model, application)
        for name, content in pictures(window, Path(scan)):
            (folder / f'{name}.png').write_bytes(content)
        window.close()


if __name__ == '__main__':
    main()
