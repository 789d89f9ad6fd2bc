"""Check whether a reconstructor library of any package does what Ptychodus expects."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ptychodus.api.io import load_diffraction_data, load_product
from ptychodus.api.reconstruct import (
    ReconstructInput,
    ReconstructorLibrary,
    prepare_reconstruct_input,
)
from ptychodus.api.settings import SettingsRegistry

from ptychopinn_plugin.hosts.ptychodus.discovery import LibraryClass
from ptychopinn_plugin.hosts.ptychodus.library_promises import CHECKS, Check, CheckedLibrary
from ptychopinn_plugin.hosts.ptychodus.library_protocols import CanBeClosed
from ptychopinn_plugin.io.ptychodus.write_scan import save_ptychodus_pair
from ptychopinn_plugin.simulation import SimulationConfig, simulate

_Make: TypeAlias = Callable[[], tuple[ReconstructorLibrary, SettingsRegistry]]

SAMPLE = SimulationConfig(rows=8, columns=8)

logger = logging.getLogger(__name__)


def check_reconstructor(
    library: LibraryClass,
    *,
    parameters: ReconstructInput | None = None,
    settings: str = '',
    trains: bool = True,
) -> list[str]:
    """Return what a reconstructor library does otherwise than Ptychodus expects.

    Names, settings, progress goal, reconstructions, stops, model files and trainings are checked
    with real runs, each with a fresh library.

    Args:
        library: the class that the entry point names, called with a settings registry and whether
            developer mode is on.
        parameters: the scan of the runs; by default a simulated one of 64 frames.
        settings: text of a `settings.ini`, such as few iterations and epochs.
        trains: whether trainable reconstructors are trained too.

    Returns:
        One sentence a fault; empty if there is none.
    """
    with tempfile.TemporaryDirectory(prefix='check-reconstructor-') as name:
        scan = parameters or sample_input(Path(name))
        return [
            fault for check in CHECKS for fault in _faults(check, library, scan, settings, trains)
        ]


def sample_input(folder: Path) -> ReconstructInput:
    """Return a simulated scan of 64 frames as Ptychodus hands it to a reconstructor.

    Args:
        folder: where its two files are written.
    """
    save_ptychodus_pair(folder, simulate(SAMPLE).scan)
    return prepare_reconstruct_input(
        load_diffraction_data(folder / 'diffraction.h5'), load_product(folder / 'product.h5')
    )


def _faults(
    check: Check, library: LibraryClass, scan: ReconstructInput, settings: str, trains: bool
) -> list[str]:
    """Run one check in a folder of its own; what it raises is a fault too."""
    faults: list[str] = []
    with _made_libraries(library, settings) as make, tempfile.TemporaryDirectory() as folder:
        try:
            faults += check(CheckedLibrary(make, scan, Path(folder), trains))
        except Exception as error:
            logger.debug('%s', check.__name__, exc_info=True)
            title = check.__name__.removeprefix('check_').replace('_', ' ')
            faults.append(f'{title}: {type(error).__name__}: {error}')
    return faults


@contextmanager
def _made_libraries(library: LibraryClass, settings: str) -> Iterator[_Make]:
    """Yield a function that makes libraries; close them at the end."""
    made: list[ReconstructorLibrary] = []

    def make() -> tuple[ReconstructorLibrary, SettingsRegistry]:
        registry = SettingsRegistry()
        made.append(library(registry, False))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / 'settings.ini'
            file.write_text(settings)
            # As Ptychodus does: settings that the library made afterwards would be missed.
            registry.open_settings(file)
        return made[-1], registry

    try:
        yield make
    finally:
        for each in made:
            if isinstance(each, CanBeClosed):
                each.close()
