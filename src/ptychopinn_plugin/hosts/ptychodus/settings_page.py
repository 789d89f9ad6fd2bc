"""The settings pages in Ptychodus' window; this module and `controls` alone import Qt."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from ptychodus.api.parameters import (
    BooleanParameter,
    IntegerParameter,
    Parameter,
    RealParameter,
    StringParameter,
)
from ptychodus.controller.parameters import (
    CheckBoxParameterViewController,
    ComboBoxParameterViewController,
    DecimalLineEditParameterViewController,
    IntegerLineEditParameterViewController,
    LineEditParameterViewController,
    ParameterViewBuilder,
    ParameterViewController,
)
from ptychodus.controller.processing import ReconstructorViewControllerFactory
from pydantic.fields import FieldInfo
from PyQt5.QtWidgets import QWidget

from ptychopinn_plugin.config.base import field_choices, field_traits, help_text
from ptychopinn_plugin.hosts.ptychodus.parameters import PluginSettings
from ptychopinn_plugin.hosts.ptychodus.supervised import FIXED_SETTINGS
from ptychopinn_plugin.hosts.ptychodus.widgets import (
    ArchitectureRows,
    BackendViewController,
    FoldedViewController,
    align_labels,
)


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
        """Return the page of a reconstructor, with the fields of the chosen architecture."""
        if reconstructor_name.casefold() == 'supervised':
            return _page(self._settings, FIXED_SETTINGS['architecture'], without=FIXED_SETTINGS)
        return _page(self._settings, self._settings.model.parameters['architecture'])


def _page(
    settings: PluginSettings, architecture: Parameter[str] | str, without: Container[str] = ()
) -> QWidget:
    """Return a page: a group a config, its advanced fields folded away.

    Args:
        settings: shown and changed.
        architecture: whose fields are shown; the parameter that holds it, or its name.
        without: fields of the model that have a fixed value.
    """
    builder, advanced = ParameterViewBuilder(), ParameterViewBuilder()
    architectures: dict[QWidget, str] = {}
    for group in settings:
        title = group.config_class.__name__.removesuffix('Config')
        for name, field in group.config_class.model_fields.items():
            if group is settings.model and name in without:
                continue
            traits = field_traits(field)
            controller = _controller(name, group.parameters[name], field)
            place = advanced if traits.advanced else builder
            place.add_view_controller(controller, _label(name, field), group=title)
            architectures[controller.get_widget()] = traits.architecture or ''
    folded = advanced.build_widget(add_stretch=False)
    builder.add_view_controller_to_bottom(FoldedViewController('Advanced', folded))
    page: QWidget = builder.build_widget()
    align_labels(page)
    align_labels(folded)
    ArchitectureRows(page, architectures, architecture)
    return page


def _label(name: str, field: FieldInfo) -> str:
    unit = field_traits(field).unit
    unit = f' [{unit}]' if unit else ''
    return f'{name[:1].upper()}{name[1:].replace("_", " ")}{unit}:'


def _controller(name: str, parameter: Parameter[Any], field: FieldInfo) -> ParameterViewController:
    """Return the widget that fits a field, with the field's help as its tool tip."""
    tip = help_text(field)
    if name == 'backend':
        return BackendViewController(parameter, tip)
    choices = [str(choice) for choice in field_choices(field)]
    if choices:
        return ComboBoxParameterViewController(parameter, choices, tool_tip=tip)
    if isinstance(parameter, BooleanParameter):
        return CheckBoxParameterViewController(parameter, '', tool_tip=tip)
    if isinstance(parameter, IntegerParameter):
        return IntegerLineEditParameterViewController(parameter, tool_tip=tip)
    if isinstance(parameter, RealParameter):
        return DecimalLineEditParameterViewController(parameter, tool_tip=tip)
    assert isinstance(parameter, StringParameter)
    return LineEditParameterViewController(parameter, tool_tip=tip)
