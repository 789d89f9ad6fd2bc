"""The settings pages in Ptychodus' window; this module and the widgets it uses alone import Qt."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping

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
    LineEditParameterViewController,
    ParameterViewController,
)
from ptychodus.controller.processing import ReconstructorViewControllerFactory
from PyQt5.QtWidgets import QFormLayout, QGroupBox, QLabel, QSizePolicy, QVBoxLayout, QWidget

from ptychopinn_plugin.config.base import field_choices
from ptychopinn_plugin.hosts.ptychodus.loaded_model import LoadedModel
from ptychopinn_plugin.hosts.ptychodus.number_field import NumberField, NumberViewController
from ptychopinn_plugin.hosts.ptychodus.page_fields import (
    HEADINGS,
    PageField,
    PageState,
    page_fields,
)
from ptychopinn_plugin.hosts.ptychodus.parameters import PluginSettings
from ptychopinn_plugin.hosts.ptychodus.supervised import FIXED_SETTINGS
from ptychopinn_plugin.hosts.ptychodus.widgets import (
    BackendViewController,
    ChangeObserver,
    FileViewController,
    FoldedWidget,
    FolderViewController,
    LoadedModelBox,
    WheelIgnorer,
)

LABEL_CHARACTERS = 22
ARRAY_FILTER = 'NumPy arrays (*.npy *.npz)'
# The algorithm says it: Supervised is one of its own.
NEVER_SHOWN = ('model_type',)


class PluginViewControllerFactory(ReconstructorViewControllerFactory):
    """Makes the settings page of each reconstructor.

    Args:
        name: of the library.
        settings: what the page shows and changes.
        loaded_models: of each reconstructor, by its name.
    """

    def __init__(
        self, name: str, settings: PluginSettings, loaded_models: Mapping[str, LoadedModel]
    ) -> None:
        super().__init__()
        self._name = name
        self._settings = settings
        self._loaded_models = {key.casefold(): each for key, each in loaded_models.items()}

    @property
    def name(self) -> str:
        """Name of the library that the pages belong to."""
        return self._name

    def create_view_controller(self, reconstructor_name: str) -> QWidget:
        """Return the page of a reconstructor, with the fields that mean something for it."""
        name = reconstructor_name.casefold()
        fixed = FIXED_SETTINGS if name == 'supervised' else {}
        return SettingsPage(self._settings, self._loaded_models[name], fixed)


class SettingsPage(QWidget):
    """A settings page: the loaded model, groups of fields, and the advanced ones folded away.

    Args:
        settings: shown and changed.
        loaded: the model of the reconstructor.
        fixed: settings of the model with a fixed value, which are not shown.
    """

    def __init__(
        self, settings: PluginSettings, loaded: LoadedModel, fixed: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._loaded = loaded
        self._fixed = fixed
        self._architecture: Parameter[str] = settings.model.parameters['architecture']
        self._backend: Parameter[str] = settings.execution.parameters['backend']
        hidden = {*NEVER_SHOWN, *fixed}
        fields = [field for field in page_fields(settings) if field.name not in hidden]
        common = _make_groups([field for field in fields if not field.advanced])
        advanced = _make_groups([field for field in fields if field.advanced])
        self._groups = [*common, *advanced]
        model_box = LoadedModelBox(loaded)
        folded = FoldedWidget('Advanced', _stack(advanced))
        layout = QVBoxLayout()
        for widget in (model_box, *common, folded):
            layout.addWidget(widget)
        layout.addStretch()
        self.setLayout(layout)
        _align_labels(self, [label for group in self._groups for label in group.labels])
        WheelIgnorer(self)
        model_box.model_changed.connect(self._show_fields)
        ChangeObserver(self._show_fields, self._architecture, self._backend)
        self._show_fields()

    def heightForWidth(self, width: int) -> int:  # noqa: N802  (Qt's name)
        """Return the height; 0 for a page behind another, which must not make that one longer."""
        behind = self.sizePolicy().verticalPolicy() == QSizePolicy.Policy.Ignored
        return 0 if behind else super().heightForWidth(width)

    def _show_fields(self) -> None:
        state = PageState(
            self._fixed.get('architecture', self._architecture.get_value()),
            self._loaded.architecture,
            self._backend.get_value(),
        )
        for group in self._groups:
            group.show_fields(state)


class FieldGroup(QGroupBox):
    """The fields under one heading; those without an effect are hidden.

    Attributes:
        labels: of the fields.

    Args:
        heading: the title.
        fields: from top to bottom.
    """

    def __init__(self, heading: str, fields: Collection[PageField]) -> None:
        super().__init__(heading)
        self._form = QFormLayout()
        self.setLayout(self._form)
        self._rows = [(field, _label(field), _controller(field)) for field in fields]
        for field, label, controller in self._rows:
            widget = controller.get_widget()
            widget.setToolTip(_wrapped(field.tool_tip))
            widget.setObjectName(f'{heading}.{field.name}')
            for each in (label, widget):
                each.setParent(self)  # also those that are not in the form
        self.labels = [label for _, label, _ in self._rows]

    def show_fields(self, state: PageState) -> None:
        """Show the fields that have an effect; hide the group where there are none."""
        # A hidden row would leave its gap, so rows are taken out and put in again.
        while self._form.rowCount():
            self._form.takeRow(0)
        for field, label, controller in self._rows:
            widget, shown = controller.get_widget(), field.has_effect(state)
            if isinstance(widget, NumberField):
                widget.set_zero(field.zero(state))
            if shown:
                self._form.addRow(label, widget)
            label.setVisible(shown)
            widget.setVisible(shown)
        self.setVisible(self._form.rowCount() > 0)


def _make_groups(fields: Collection[PageField]) -> list[FieldGroup]:
    """Return the groups of some fields, in the order of the headings."""
    found = {
        heading: [field for field in fields if field.heading == heading]
        for heading in HEADINGS.values()
    }
    return [FieldGroup(heading, rows) for heading, rows in found.items() if rows]


def _stack(groups: Collection[QWidget]) -> QWidget:
    """Return groups one below the other."""
    layout = QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    for group in groups:
        layout.addWidget(group)
    stacked = QWidget()
    stacked.setLayout(layout)
    return stacked


def _label(field: PageField) -> QLabel:
    label = QLabel(field.label)
    label.setToolTip(_wrapped(field.tool_tip))
    return label


def _wrapped(text: str) -> str:
    """Return a tool tip that Qt breaks into lines: as rich text."""
    return f'<p>{html.escape(text)}</p>'


def _controller(field: PageField) -> ParameterViewController:
    """Return the widget that fits a field."""
    parameter = field.parameter
    if field.name == 'backend':
        return BackendViewController(parameter)
    choices = [str(choice) for choice in field_choices(field.field)]
    if choices:
        return ComboBoxParameterViewController(parameter, choices)
    if isinstance(parameter, BooleanParameter):
        return CheckBoxParameterViewController(parameter, '')
    if isinstance(parameter, IntegerParameter | RealParameter):
        return NumberViewController(parameter, field.limits)
    assert isinstance(parameter, StringParameter)
    if field.is_file:
        return FileViewController(parameter, field.label.rstrip(':'), ARRAY_FILTER)
    if field.is_folder:
        return FolderViewController(parameter, field.label.rstrip(':'))
    return LineEditParameterViewController(parameter)


def _align_labels(page: QWidget, labels: Collection[QLabel]) -> None:
    """Make labels equally wide, so that the fields form one column.

    A long label goes on in a second line, so that none makes the page wider than its place.
    """
    longest = LABEL_CHARACTERS * page.fontMetrics().averageCharWidth()
    width = min(longest, max((label.sizeHint().width() for label in labels), default=0))
    for label in labels:
        label.setWordWrap(True)
        label.setFixedWidth(width)
        label.setMinimumHeight(label.heightForWidth(width))
