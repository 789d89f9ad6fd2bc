"""Reconstructor libraries that installed packages declare as entry points.

A package offers one by an entry point of the group `ptychodus.reconstructor_libraries` whose value
is a `ReconstructorLibrary` class, called with the settings registry and whether developer mode is
on. Two methods are optional: `create_view_controller_factory(file_dialog_factory)` returns the
factory of its settings pages, `connect_host(tasks)` receives the host's `HostTasks` (see
`library_protocols`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TypeAlias

from ptychodus.api.reconstruct import ReconstructorLibrary
from ptychodus.api.settings import SettingsRegistry

GROUP = 'ptychodus.reconstructor_libraries'

LibraryClass: TypeAlias = Callable[[SettingsRegistry, bool], ReconstructorLibrary]

logger = logging.getLogger(__name__)


def load_libraries(
    registry: SettingsRegistry, present: Sequence[ReconstructorLibrary]
) -> list[ReconstructorLibrary]:
    """Return the libraries of all entry points; one that cannot be used is logged and left out.

    Args:
        registry: the libraries add their settings to it.
        present: the libraries that Ptychodus has already. An entry point of one of their classes
            is skipped: this Ptychodus reads entry points by itself.
    """
    added: list[ReconstructorLibrary] = []
    for entry_point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        library = _load(entry_point, registry, [*present, *added])
        if library is not None:
            added.append(library)
    return added


def name_fault(name: str, taken: Iterable[str]) -> str:
    """Return why a library cannot have a name, '' if it can.

    Ptychodus joins the names of library and reconstructor by an underscore, splits them at the
    first one, and ignores case.
    """
    if not name.strip():
        return 'its name is empty'
    if '_' in name:
        return f'its name {name!r} has an underscore, which Ptychodus would split it at'
    if name.casefold() in {other.casefold() for other in taken}:
        return f'another library has the name {name!r}'
    return ''


def _load(
    entry_point: EntryPoint, registry: SettingsRegistry, present: Sequence[ReconstructorLibrary]
) -> ReconstructorLibrary | None:
    try:
        library_class: LibraryClass = entry_point.load()
        if any(type(library) is library_class for library in present):
            logger.debug('Ptychodus has loaded %s by itself', entry_point.value)
            return None
        library = library_class(registry, _is_developer_mode_enabled())
        fault = name_fault(library.name, [other.name for other in present])
        if not fault:
            # Ptychodus reads these names later, where an error would end it.
            names = [reconstructor.name for reconstructor in library]
            library.get_logger()
            logger.debug('%s offers %s', library.name, names)
            return library
    except Exception as error:
        fault = f'{type(error).__name__}: {error}'
        logger.debug('%s', entry_point.value, exc_info=True)
    logger.warning(
        'The reconstructor library %r (%s) is left out: %s',
        entry_point.name,
        entry_point.value,
        fault,
    )
    return None


def _is_developer_mode_enabled() -> bool:
    """Return whether Ptychodus runs in developer mode: its model then logs at level DEBUG."""
    return logging.getLogger('ptychodus.model.core').getEffectiveLevel() <= logging.DEBUG
