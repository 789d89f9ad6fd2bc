"""Widgets of the settings page that Ptychodus does not have."""

from __future__ import annotations

from collections.abc import Callable

from ptychodus.api.observer import Observable, Observer
from ptychodus.api.parameters import Parameter, StringParameter
from ptychodus.controller.parameters import (
    LineEditParameterViewController,
    ParameterViewController,
)
from PyQt5.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ptychopinn_plugin.backends.registry import BACKENDS, installed_backends
from ptychopinn_plugin.hosts.ptychodus.loaded_model import LoadedModel


class BackendViewController(ParameterViewController, Observer):
    """Dropdown of the backends; what is not installed is marked and can be chosen all the same.

    Args:
        parameter: holds the backend's name.
    """

    def __init__(self, parameter: Parameter[str]) -> None:
        super().__init__()
        self._parameter = parameter
        self._widget = QComboBox()
        installed = installed_backends()
        for backend, spec in BACKENDS.items():
            mark = '' if backend in installed else ' (not installed)'
            self._widget.addItem(spec.display_name + mark, backend)
        self._show()
        self._widget.activated.connect(self._take)
        parameter.add_observer(self)

    def get_widget(self) -> QWidget:
        """Return the dropdown."""
        return self._widget

    def _take(self, index: int) -> None:
        self._parameter.set_value(self._widget.itemData(index))

    def _show(self) -> None:
        self._widget.setCurrentIndex(self._widget.findData(self._parameter.get_value()))

    def _update(self, observable: Observable) -> None:
        if observable is self._parameter:
            self._show()


class FileViewController(ParameterViewController):
    """A line for the name of a file, with a button that opens a dialog.

    Args:
        parameter: holds the name, '' for no file.
        title: of the dialog.
        name_filter: of the dialog.
    """

    def __init__(self, parameter: StringParameter, title: str, name_filter: str) -> None:
        super().__init__()
        self._parameter = parameter
        self._title, self._name_filter = title, name_filter
        self._line = LineEditParameterViewController(parameter)
        button = QPushButton('Browse')
        button.clicked.connect(self._browse)
        layout = QHBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line.get_widget(), 1)
        layout.addWidget(button)
        self._widget = QWidget()
        self._widget.setLayout(layout)

    def get_widget(self) -> QWidget:
        """Return line and button."""
        return self._widget

    def _browse(self) -> None:
        name, _ = QFileDialog.getOpenFileName(
            self._widget, self._title, self._parameter.get_value(), self._name_filter
        )
        if name:
            self._parameter.set_value(name)


class FolderViewController(FileViewController):
    """A line for the name of a folder, with a button that opens a dialog.

    Args:
        parameter: holds the name, '' for no folder.
        title: of the dialog.
    """

    def __init__(self, parameter: StringParameter, title: str) -> None:
        super().__init__(parameter, title, '')

    def _browse(self) -> None:
        name = QFileDialog.getExistingDirectory(
            self._widget, self._title, self._parameter.get_value()
        )
        if name:
            self._parameter.set_value(name)


class FoldedWidget(QWidget):
    """A widget that is folded away under its title until it is asked for.

    Args:
        title: always shown.
        content: shown when the title is clicked.
    """

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self._button = QToolButton()
        self._button.setText(title)
        self._button.setCheckable(True)
        self._button.setAutoRaise(True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setArrowType(Qt.ArrowType.RightArrow)
        self._button.toggled.connect(self._fold)
        self._content = content
        content.setVisible(False)
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        layout.addWidget(content)
        self.setLayout(layout)

    def _fold(self, open_: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if open_ else Qt.ArrowType.RightArrow
        self._button.setArrowType(arrow)
        self._content.setVisible(open_)


class ChangeObserver(Observer):
    """Calls a function whenever one of some observables changes.

    Args:
        call: called in the thread that made the change.
        observables: what is observed; they keep this object.
    """

    def __init__(self, call: Callable[[], None], *observables: Observable) -> None:
        super().__init__()
        self._call = call
        for observable in observables:
            observable.add_observer(self)

    def _update(self, observable: Observable) -> None:
        self._call()


class LoadedModelBox(QGroupBox):
    """Shows the loaded model, with a button that unloads it.

    Attributes:
        model_changed: emitted in the thread of the window, whichever thread changed the model.

    Args:
        loaded: the model.
    """

    model_changed = pyqtSignal()

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__('Loaded model')
        self._loaded = loaded
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._unload_button = QPushButton('Unload')
        self._unload_button.setToolTip('Reconstruct with the model of the package again')
        layout = QHBoxLayout()
        layout.addWidget(self._text, 1)
        layout.addWidget(self._unload_button)
        self.setLayout(layout)
        self._show()
        self._unload_button.clicked.connect(lambda _: loaded.unload())
        self.model_changed.connect(self._show)
        ChangeObserver(self.model_changed.emit, loaded)

    def _show(self) -> None:
        loaded = self._loaded
        self._text.setText(loaded.describe() or 'None: Infer uses the model of the package')
        self._text.setToolTip(str(loaded.file or ''))
        self._unload_button.setVisible(loaded.model is not None)


class WheelIgnorer(QObject):
    """Event filter that leaves the mouse wheel to the page, which scrolls, and not to its fields.

    Args:
        page: the fields on it are watched, and it keeps this object.
    """

    def __init__(self, page: QWidget) -> None:
        super().__init__(page)
        for field in (*page.findChildren(QComboBox), *page.findChildren(QAbstractSpinBox)):
            field.installEventFilter(self)

    def eventFilter(self, _: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Return whether an event ends here: for the wheel, which its parent then gets."""
        if event is None or event.type() != QEvent.Type.Wheel:
            return False
        event.ignore()
        return True
