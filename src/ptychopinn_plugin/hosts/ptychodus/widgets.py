"""Widgets of the settings page that Ptychodus does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ptychodus.api.observer import Observable, Observer
from ptychodus.api.parameters import Parameter
from ptychodus.controller.parameters import ParameterViewController
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ptychopinn_plugin.backends.registry import BACKENDS, installed_backends

LABEL_CHARACTERS = 24


class BackendViewController(ParameterViewController, Observer):
    """Dropdown of the backends; what is not installed is marked and can be chosen all the same.

    Args:
        parameter: holds the backend's name.
        tool_tip: of the dropdown.
    """

    def __init__(self, parameter: Parameter[str], tool_tip: str) -> None:
        super().__init__()
        self._parameter = parameter
        self._widget = QComboBox()
        self._widget.setObjectName('ptychopinn_backend')
        self._widget.setToolTip(tool_tip)
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


class FoldedViewController(ParameterViewController):
    """A page that is folded away under its title until it is asked for.

    Args:
        title: always shown.
        page: shown when the title is clicked.
    """

    def __init__(self, title: str, page: QWidget) -> None:
        self._button = QToolButton()
        self._button.setText(title)
        self._button.setCheckable(True)
        self._button.setAutoRaise(True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setArrowType(Qt.ArrowType.RightArrow)
        self._button.toggled.connect(self._fold)
        self._page = page
        page.setVisible(False)
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        layout.addWidget(page)
        self._widget = QWidget()
        self._widget.setLayout(layout)

    def get_widget(self) -> QWidget:
        """Return title and page."""
        return self._widget

    def _fold(self, open_: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if open_ else Qt.ArrowType.RightArrow
        self._button.setArrowType(arrow)
        self._page.setVisible(open_)


@dataclass(frozen=True, eq=False)
class Row:
    """A row of a form.

    Attributes:
        label: its left half.
        widget: its right half.
        architecture: that it means something for, '' for any.
    """

    label: QLabel
    widget: QWidget
    architecture: str


class ArchitectureRows(Observer):
    """Shows the rows that mean something for the chosen architecture, and no others.

    Args:
        page: holds the rows, in the forms of group boxes.
        architectures: the architecture of each widget that belongs to one.
        chosen: the parameter that holds its name, or the name where it is fixed.
    """

    def __init__(
        self, page: QWidget, architectures: Mapping[QWidget, str], chosen: Parameter[str] | str
    ) -> None:
        super().__init__()
        self._forms = {box: _rows(box, architectures) for box in page.findChildren(QGroupBox)}
        self._parameter = chosen if isinstance(chosen, Parameter) else None
        if isinstance(chosen, Parameter):
            chosen.add_observer(self)
            chosen = chosen.get_value()
        self._show(chosen)

    def _show(self, chosen: str) -> None:
        for box, rows in self._forms.items():
            form = cast('QFormLayout', box.layout())
            # A hidden row would leave its gap, so rows are taken out and put in again.
            while form.rowCount():
                form.takeRow(0)
            for row in rows:
                fits = row.architecture in ('', chosen)
                row.label.setVisible(fits)
                row.widget.setVisible(fits)
                if fits:
                    form.addRow(row.label, row.widget)
            box.setVisible(form.rowCount() > 0)

    def _update(self, observable: Observable) -> None:
        if self._parameter is not None and observable is self._parameter:
            self._show(self._parameter.get_value())


def align_labels(page: QWidget) -> None:
    """Make the labels of a page's own forms equally wide, so that its fields form one column.

    A long label goes on in a second line, so that none makes the page wider than its place.
    """
    boxes = page.findChildren(QGroupBox, options=Qt.FindChildOption.FindDirectChildrenOnly)
    labels = [row.label for box in boxes for row in _rows(box, {})]
    longest = LABEL_CHARACTERS * page.fontMetrics().averageCharWidth()
    width = min(longest, max((label.sizeHint().width() for label in labels), default=0))
    for label in labels:
        label.setWordWrap(True)
        label.setFixedWidth(width)
        label.setMinimumHeight(label.heightForWidth(width))


def _rows(box: QGroupBox, architectures: Mapping[QWidget, str]) -> list[Row]:
    """Return the rows of the form of a group box, from top to bottom."""
    form = cast('QFormLayout', box.layout())
    roles = QFormLayout.ItemRole.LabelRole, QFormLayout.ItemRole.FieldRole
    rows = []
    for number in range(form.rowCount()):
        halves: list[Any] = [form.itemAt(number, role) for role in roles]
        label, widget = (half.widget() for half in halves)
        rows.append(Row(label, widget, architectures.get(widget, '')))
    return rows
