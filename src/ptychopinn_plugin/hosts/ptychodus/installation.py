"""Checks of the installation: whether Ptychodus finds the plugin, and if not, why."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ptychodus.api.settings import SettingsRegistry

from ptychopinn_plugin import __version__
from ptychopinn_plugin.backends.registry import install_commands, installed_backends
from ptychopinn_plugin.hosts.ptychodus.discovery import GROUP, load_libraries

SHIM = 'ptychopinn_plugin_bridge'


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        what: the subject of the check.
        found: version, place or fault.
        good: whether the check passed.
        advice: how to correct a fault, '' without one.
        needed: whether Ptychodus cannot offer the plugin if the check fails.
    """

    what: str
    found: str
    good: bool = True
    advice: str = ''
    needed: bool = False


def examine() -> list[Finding]:
    """Check everything that Ptychodus needs to offer the plugin."""
    return [
        Finding('ptychopinn-plugin', f'{__version__}, {Path(__file__).parents[1]}'),
        Finding('ptychodus', f'{importlib.metadata.version("ptychodus")}, {_ptychodus_folder()}'),
        _shim(),
        *_libraries(),
        _backends(),
        _window(),
    ]


def _ptychodus_folder() -> Path:
    spec = importlib.util.find_spec('ptychodus')
    return Path(str(spec.origin)).parent if spec is not None else Path()


def _shim() -> Finding:
    import ptychodus.plugins

    for folder in ptychodus.plugins.__path__:
        file = Path(folder) / f'{SHIM}.py'
        if file.is_file():
            return Finding('shim', str(file))
    return Finding(
        'shim',
        f'not in {", ".join(ptychodus.plugins.__path__)}',
        good=False,
        needed=True,
        advice='Ptychodus does not see the plugin by itself, as where it is installed from its '
        'sources or in another environment; start it with: ptychopinn ptychodus, and in scripts '
        'call ptychopinn_plugin.install() before ModelCore(...)',
    )


def _libraries() -> Iterator[Finding]:
    """Load the libraries as the bridge does."""
    libraries = load_libraries(SettingsRegistry(), [])
    names = {library.name: [each.name for each in library] for library in libraries}
    for name, reconstructors in names.items():
        yield Finding('library', f'{name}: {", ".join(reconstructors)}')
    if 'PtychoPINN-Plugin' not in names:
        declared = [each.value for each in importlib.metadata.entry_points(group=GROUP)]
        yield Finding(
            'library',
            f'PtychoPINN-Plugin is not among the entry points of {GROUP} ({declared or "none"})',
            good=False,
            needed=True,
            advice='install the package anew: pip install --force-reinstall --no-deps '
            'ptychopinn-plugin',
        )


def _backends() -> Finding:
    installed = installed_backends()
    if installed:
        return Finding('backends', ', '.join(installed))
    return Finding(
        'backends',
        'none is installed',
        good=False,
        advice=f'To compute, install one: {install_commands()}',
    )


def _window() -> Finding:
    if importlib.util.find_spec('PyQt5') is not None:
        return Finding('window', f'PyQt5 {importlib.metadata.version("PyQt5")}')
    return Finding(
        'window',
        'PyQt5 is not installed; batch mode and scripts work without',
        good=False,
        advice="For Ptychodus' window: pip install 'ptychopinn-plugin[gui]'",
    )
