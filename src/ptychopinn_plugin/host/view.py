"""The settings page in Ptychodus' window; the only module that imports Qt."""

from __future__ import annotations

from typing import Any, get_args

from ptychodus.api.observer import Observable, Observer
from ptychodus.api.parameters import (
    BooleanParameter,
    IntegerParameter,
    Parameter,
    RealParameter,
    StringParameter,
)
from ptychodus.controller.parameters import ParameterViewBuilder, ParameterViewController
from ptychodus.controller.processing import ReconstructorViewControllerFactory
from pydantic.fields import FieldInfo
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QComboBox, QLabel, QToolButton, QVBoxLayout, QWidget

from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.engines.choice import installed_backends
from ptychopinn_plugin.host.settings import ConfigSettings, PluginSettings, choices_of

BACKEND_NAMES: dict[Backend, str] = {'tensorflow': 'TensorFlow', 'pytorch': 'PyTorch'}


class PluginViewControllerFactory(ReconstructorViewControllerFactory):
    """Makes the settings page of each reconstructor.

    Args:
        name: of the library.
        settings: what the page shows and changes.
    """

    def __init__(self, name: str, settings: PluginSettings) -> None:
        super().__init__()
        self._name = name
        self._settings = settings

    @property
    def name(self) -> str:
        """Name of the library that the pages belong to."""
        return self._name

    def create_view_controller(self, reconstructor_name: str) -> QWidget:
        """Return the page of a reconstructor."""
        if reconstructor_name.casefold() == 'supervised':
            label = QLabel(
                'Supervised training needs the true object of every scan (ground truth)\n'
                'and is not available in this version.\n\nChoose PtychoPINN-Plugin_PINN.'
            )
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            return label
        return _page(self._settings)


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
        for backend in get_args(Backend):
            mark = '' if backend in installed else ' (not installed)'
            self._widget.addItem(BACKEND_NAMES[backend] + mark, backend)
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


def _page(settings: PluginSettings) -> QWidget:
    """Return the page: the backend, then a group a config, its advanced fields folded away."""
    builder, advanced = ParameterViewBuilder(), ParameterViewBuilder()
    for group in settings:
        title = group.config_class.__name__.removesuffix('Config')
        for name, field in group.config_class.model_fields.items():
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            _add(advanced if extra.get('advanced') else builder, group, name, field, title)
    folded = FoldedViewController('Advanced', advanced.build_widget(add_stretch=False))
    builder.add_view_controller_to_bottom(folded)
    page: QWidget = builder.build_widget()
    return page


def _add(
    builder: ParameterViewBuilder,
    group: ConfigSettings[Any],
    name: str,
    field: FieldInfo,
    title: str,
) -> None:
    """Add the widget that fits a field."""
    parameter, tool_tip = group.parameters[name], str(field.description)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = f' [{extra["unit"]}]' if extra.get('unit') else ''
    label = f'{name[:1].upper()}{name[1:].replace("_", " ")}{unit}:'
    if name == 'backend':
        builder.add_view_controller(BackendViewController(parameter, tool_tip), label, group=title)
    elif choices_of(field):
        builder.add_combo_box(
            parameter, map(str, choices_of(field)), label, tool_tip=tool_tip, group=title
        )
    elif isinstance(parameter, BooleanParameter):
        builder.add_check_box(parameter, label, tool_tip=tool_tip, group=title)
    elif isinstance(parameter, IntegerParameter):
        builder.add_integer_line_edit(parameter, label, tool_tip=tool_tip, group=title)
    elif isinstance(parameter, RealParameter):
        builder.add_decimal_line_edit(parameter, label, tool_tip=tool_tip, group=title)
    elif isinstance(parameter, StringParameter):
        builder.add_line_edit(parameter, label, tool_tip=tool_tip, group=title)
