"""`ptychopinn backends`."""

from __future__ import annotations

import importlib.metadata
import platform

from ptychopinn_plugin import __version__
from ptychopinn_plugin.backends.registry import BACKENDS, BackendStatus, backend_status
from ptychopinn_plugin.cli.console import echo
from ptychopinn_plugin.cli.options import Backends


def run(_flags: Backends) -> None:
    """Print what is installed."""
    echo(f'ptychopinn {__version__}, Python {platform.python_version()}, {_ptychodus()}')
    for backend in BACKENDS:
        for line in _lines(backend_status(backend)):
            echo(line)


def _ptychodus() -> str:
    try:
        return f'Ptychodus {importlib.metadata.version("ptychodus")}'
    except importlib.metadata.PackageNotFoundError:
        return 'without Ptychodus'


def _lines(status: BackendStatus) -> list[str]:
    versions = ', '.join(f'{name} {number}' for name, number in status.versions.items() if number)
    if status.problem:
        return [f'{status.backend:<11} not usable: {status.problem}']
    return [
        f'{status.backend:<11} ready: {versions}',
        f'{"":<11} devices: {", ".join(status.devices)}',
    ]
