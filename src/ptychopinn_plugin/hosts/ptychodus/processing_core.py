"""What the bridge does to Ptychodus' processing room, in the model and in the window."""

from __future__ import annotations

import functools
import logging
from collections.abc import Generator
from typing import Any

from ptychodus.api.observer import Observable, Observer

from ptychopinn_plugin.hosts.ptychodus.discovery import load_libraries
from ptychopinn_plugin.hosts.ptychodus.tasks import PtychodusTasks

logger = logging.getLogger(__name__)

_LIBRARIES = '_ptychopinn_plugin_libraries'


def adding_libraries(arguments: dict[str, Any]) -> Generator[None, Any, None]:
    """Add the libraries of all entry points, and tell them who hosts them."""
    present = list(arguments['algorithm_libraries'])
    libraries = [*present, *load_libraries(arguments['settings_registry'], present)]
    arguments['algorithm_libraries'] = libraries
    core = yield
    monitor = core.processing_api.task_monitor
    tasks = PtychodusTasks(monitor, arguments['task_manager'])
    for library in libraries:
        if hasattr(library, 'connect_host'):
            library.connect_host(tasks)
    setattr(core.algorithm_parameter, _LIBRARIES, libraries)
    # Into the status pane.
    logger.addHandler(monitor.get_log_handler())
    warn_of_unknown_algorithms(core.algorithm_parameter)


def warn_of_unknown_algorithms(parameter: Any) -> None:  # noqa: ANN401
    """Say aloud that an algorithm does not exist, as one misspelt in settings.ini."""
    original = parameter.set_value

    @functools.wraps(original)
    def set_value(value: str, *, notify: bool = True) -> None:
        known = sorted(parameter.available_reconstructors())
        wanted = value.strip().casefold()
        if wanted not in known and wanted != parameter.get_value():
            logger.error(
                'There is no algorithm %r; %s stays. Set Algorithm to one of: %s',
                value,
                parameter.get_value(),
                ', '.join(known) or 'none is installed',
            )
        original(value, notify=notify)

    parameter.set_value = set_value


def libraries_of(algorithm_parameter: Any) -> list[Any]:  # noqa: ANN401
    """Return the libraries that an algorithm parameter was made with, ours among them."""
    return list(getattr(algorithm_parameter, _LIBRARIES, []))


def adding_pages(arguments: dict[str, Any]) -> Generator[None, Any, None]:
    """Add the settings pages of libraries that bring their own, and keep Infer usable.

    Ptychodus looks at the model when an algorithm is picked and when a training starts, not when
    it ends; and it knows of no reconstructor that is trainable but works without a model.
    """
    parameter = arguments['algorithm_parameter']
    factories = list(arguments['view_controller_factories'])
    present = {factory.name.casefold() for factory in factories}
    for library in libraries_of(parameter):
        create = getattr(library, 'create_view_controller_factory', None)
        if create is not None and library.name.casefold() not in present:
            factories.append(create(arguments['file_dialog_factory']))
    arguments['view_controller_factories'] = factories
    controller = yield
    run_what_is_shown(parameter)
    keeper = _InferKeeper(controller, parameter)
    parameter.add_observer(keeper)
    arguments['processing_api'].task_monitor.add_observer(keeper)
    keeper.look()
    if 'status_view' in arguments:
        follow_last_line(arguments['status_view'].text_edit.verticalScrollBar())


def follow_last_line(bar: Any) -> None:  # noqa: ANN401
    """Keep the end of the status pane in view, unless the user scrolled up to read.

    Qt stops to follow by itself when the progress bar takes the room of the last line.

    Args:
        bar: the vertical scroll bar of the pane.
    """
    following = True

    def take_user_action(_: int) -> None:
        nonlocal following
        following = bar.sliderPosition() >= bar.maximum()

    def follow(_: int, maximum: int) -> None:
        if following:
            bar.setValue(maximum)

    bar.actionTriggered.connect(take_user_action)
    bar.rangeChanged.connect(follow)


def run_what_is_shown(parameter: Any) -> None:  # noqa: ANN401
    """Pick the first algorithm where none is: the dropdown shows it as if it were picked."""
    known = list(parameter.available_reconstructors())
    if known and parameter.get_value() not in known:
        parameter.set_value(known[0])


class _InferKeeper(Observer):
    """Looks at the buttons whenever the algorithm or the state of the task changes."""

    def __init__(self, controller: Any, parameter: Any) -> None:  # noqa: ANN401
        super().__init__()
        self._controller = controller
        self._parameter = parameter

    def look(self) -> None:
        reconstructor = self._parameter.get_current_reconstructor()
        if getattr(reconstructor, 'works_without_model', False):
            self._controller._sync_action_buttons_to_selection()

    def _update(self, observable: Observable) -> None:
        self.look()
