"""Additions of the bridge to the processing core in Ptychodus' model."""

from __future__ import annotations

import functools
import logging
from collections.abc import Generator
from typing import TYPE_CHECKING

from ptychodus.api.reconstruct import ReconstructorLibrary

from ptychopinn_plugin.hosts.ptychodus.discovery import load_libraries
from ptychopinn_plugin.hosts.ptychodus.library_protocols import ConnectsToHost
from ptychopinn_plugin.hosts.ptychodus.method_wrapping import Arguments
from ptychopinn_plugin.hosts.ptychodus.ptychodus_tasks import PtychodusTasks
from ptychopinn_plugin.hosts.ptychodus.status_pane import PaneRefreshHandler

if TYPE_CHECKING:
    from ptychodus.model.processing import ProcessingAlgorithmParameter
    from ptychodus.model.processing.core import ProcessingCore

logger = logging.getLogger(__name__)

_LIBRARIES = '_ptychopinn_plugin_libraries'
_TASKS = '_ptychopinn_plugin_tasks'


def add_libraries(arguments: Arguments) -> Generator[None, ProcessingCore, None]:
    """Add the libraries of all entry points and connect them to the host."""
    present = list(arguments['algorithm_libraries'])
    libraries = [*present, *load_libraries(arguments['settings_registry'], present)]
    arguments['algorithm_libraries'] = libraries
    core = yield
    monitor = core.processing_api.task_monitor
    tasks = PtychodusTasks(monitor, arguments['task_manager'])
    refresh = PaneRefreshHandler(
        arguments['task_manager'].put_foreground_task, monitor.notify_observers
    )
    for library in libraries:
        library_logger = library.get_logger()
        if isinstance(library, ConnectsToHost):
            library.connect_host(tasks)
            library_logger.addHandler(refresh)
    setattr(core.algorithm_parameter, _LIBRARIES, libraries)
    setattr(core.algorithm_parameter, _TASKS, tasks)
    # The status pane then shows the error of an unknown algorithm.
    logger.addHandler(monitor.get_log_handler())
    log_unknown_algorithms(core.algorithm_parameter)


def find_libraries(parameter: ProcessingAlgorithmParameter) -> list[ReconstructorLibrary]:
    """Return the libraries that `add_libraries` kept with the algorithm parameter."""
    return list(getattr(parameter, _LIBRARIES, []))


def find_tasks(parameter: ProcessingAlgorithmParameter) -> PtychodusTasks:
    """Return the host that `add_libraries` kept with the algorithm parameter."""
    tasks: PtychodusTasks = getattr(parameter, _TASKS)
    return tasks


def log_unknown_algorithms(parameter: ProcessingAlgorithmParameter) -> None:
    """Log an error where an algorithm is set that does not exist, as one misspelt in a file."""
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

    parameter.set_value = set_value  # type: ignore[method-assign]
