"""Which backends are installed, and which is taken where the user names none."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
from dataclasses import dataclass
from typing import cast, get_args

from ptychopinn_plugin.backends import engine_class
from ptychopinn_plugin.config import Backend, ExecutionConfig
from ptychopinn_plugin.errors import BackendUnavailableError, ConfigError

logger = logging.getLogger(__name__)

FRAMEWORKS: dict[Backend, tuple[str, ...]] = {
    'tensorflow': ('tensorflow',),
    'pytorch': ('torch', 'lightning'),
}


@dataclass(frozen=True)
class BackendStatus:
    """What is known of one backend on this machine.

    Attributes:
        backend: its name.
        versions: installed version of each package that it needs, '' where it is missing.
        problem: why it cannot compute, '' where it can.
        devices: what it can compute on, the one taken by `accelerator='auto'` first.
    """

    backend: Backend
    versions: dict[str, str]
    problem: str
    devices: tuple[str, ...]


def installed_backends() -> tuple[Backend, ...]:
    """Return the backends whose framework and engine are here, the preferred one first.

    Nothing is imported to find out.
    """
    return tuple(cast('Backend', name) for name in get_args(Backend) if _is_installed(name))


def default_backend() -> Backend:
    """Return the backend to take where the user named none: the one that is installed.

    Where both are, it is TensorFlow. Nothing is imported to find out.

    Raises:
        BackendUnavailableError: none is installed.
    """
    for backend in installed_backends():
        logger.info('Computing with the backend %r; no other was asked for', backend)
        return backend
    raise BackendUnavailableError(
        'no backend is installed, PyTorch or TensorFlow is needed; '
        "install one with: pip install 'ptychopinn-plugin[pytorch]'"
    )


def with_backend(execution: ExecutionConfig, backend: Backend | None) -> ExecutionConfig:
    """Return an execution config with the backend that was asked for.

    Args:
        execution: the config; its backend counts as asked for only if it was given one.
        backend: the name, or None for what `execution` says or else the installed one.

    Raises:
        BackendUnavailableError: none was named and none is installed.
        ConfigError: the backend cannot do what the config asks for.
    """
    if backend is None and 'backend' not in execution.model_fields_set:
        backend = default_backend()
    if backend is not None:
        named = {**execution.model_dump(), 'backend': backend}
        execution = ExecutionConfig.model_validate(named)
    check_devices(execution)
    return execution


def check_devices(execution: ExecutionConfig) -> None:
    """Refuse several devices where the backend trains on one.

    Raises:
        ConfigError: TensorFlow with more than one device or machine, or with a strategy.
    """
    wanted = {'devices': 1, 'num_nodes': 1, 'strategy': 'auto'}
    faults = [
        f'TensorFlow backend selected with {name} = {getattr(execution, name)!r}, but it trains on '
        f"one device; set {name} to {only!r}, or take the backend 'pytorch'"
        for name, only in wanted.items()
        if execution.backend == 'tensorflow' and getattr(execution, name) != only
    ]
    if faults:
        raise ConfigError(faults)


def backend_status(backend: Backend) -> BackendStatus:
    """Import a backend's engine and say what was found."""
    versions = {package: _version(package) for package in FRAMEWORKS[backend]}
    try:
        engine_class(backend)
        found = importlib.import_module(f'ptychopinn_plugin.backends.{backend}.devices')
    except BackendUnavailableError as error:
        return BackendStatus(backend, versions, str(error), ())
    return BackendStatus(backend, versions, '', found.devices())


def _is_installed(backend: Backend) -> bool:
    modules = (f'ptychopinn_plugin.backends.{backend}', *FRAMEWORKS[backend])
    return all(importlib.util.find_spec(module) is not None for module in modules)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''
