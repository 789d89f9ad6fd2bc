"""Additions of the bridge to the processing view in Ptychodus' window."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from ptychodus.api.observer import Observable, Observer

from ptychopinn_plugin.hosts.ptychodus.library_protocols import (
    BringsSettingsPages,
    WorksWithoutModel,
)
from ptychopinn_plugin.hosts.ptychodus.method_wrapping import Arguments
from ptychopinn_plugin.hosts.ptychodus.processing_core import find_libraries, find_tasks

if TYPE_CHECKING:
    from ptychodus.controller.processing.core import ProcessingController
    from ptychodus.model.processing import ProcessingAlgorithmParameter
    from PyQt5.QtWidgets import QScrollBar, QStackedWidget


def add_pages(arguments: Arguments) -> Generator[None, ProcessingController, None]:
    """Add the settings pages of libraries that bring their own, and keep Infer enabled.

    Ptychodus enables Infer when an algorithm is picked and when a training starts, not when it
    ends, and does not provide for a trainable reconstructor that works without a model.
    """
    parameter = arguments['algorithm_parameter']
    factories = list(arguments['view_controller_factories'])
    present = {factory.name.casefold() for factory in factories}
    for library in find_libraries(parameter):
        if isinstance(library, BringsSettingsPages) and library.name.casefold() not in present:
            pages = library.create_view_controller_factory(arguments['file_dialog_factory'])
            factories.append(pages)
    arguments['view_controller_factories'] = factories
    controller = yield
    find_tasks(parameter).has_window = True
    set_shown_algorithm(parameter)
    observer = InferButtonObserver(controller, parameter)
    parameter.add_observer(observer)
    arguments['processing_api'].task_monitor.add_observer(observer)
    observer.enable_buttons()
    fit_to_current_page(controller._stacked_widget)
    if 'status_view' in arguments:
        follow_last_line(arguments['status_view'].text_edit.verticalScrollBar())


def set_shown_algorithm(parameter: ProcessingAlgorithmParameter) -> None:
    """Set the first algorithm where none is set: the dropdown shows it as if it were set."""
    known = list(parameter.available_reconstructors())
    if known and parameter.get_value() not in known:
        parameter.set_value(known[0])


def fit_to_current_page(pages: QStackedWidget) -> None:
    """Let the scroll area around the settings pages be as large as the page that is shown.

    Qt by itself makes it as large as the largest page, and a smaller one scrolls into nothing.
    """
    from PyQt5.QtWidgets import QSizePolicy

    def fit(current: int) -> None:
        for number in range(pages.count()):
            shown = number == current
            policy = QSizePolicy.Policy.Preferred if shown else QSizePolicy.Policy.Ignored
            page = pages.widget(number)
            if page is not None:
                page.setSizePolicy(policy, policy)
        pages.updateGeometry()

    pages.currentChanged.connect(fit)
    fit(pages.currentIndex())


def follow_last_line(bar: QScrollBar) -> None:
    """Keep the end of the status pane visible, unless the user scrolled up.

    Qt by itself stops following when the progress bar covers the last line.

    Args:
        bar: the vertical scroll bar of the pane.
    """
    following = True

    def handle_user_action(_: int) -> None:
        nonlocal following
        following = bar.sliderPosition() >= bar.maximum()

    def follow(_: int, maximum: int) -> None:
        if following:
            bar.setValue(maximum)

    bar.actionTriggered.connect(handle_user_action)
    bar.rangeChanged.connect(follow)


class InferButtonObserver(Observer):
    """Enables the buttons anew whenever the algorithm or the state of the task changes."""

    def __init__(
        self, controller: ProcessingController, parameter: ProcessingAlgorithmParameter
    ) -> None:
        super().__init__()
        self._controller = controller
        self._parameter = parameter

    def enable_buttons(self) -> None:
        """Enable what the current algorithm can do now, if it works without a model."""
        reconstructor = self._parameter.get_current_reconstructor()
        if isinstance(reconstructor, WorksWithoutModel):
            self._controller._sync_action_buttons_to_selection()

    def _update(self, observable: Observable) -> None:
        self.enable_buttons()
