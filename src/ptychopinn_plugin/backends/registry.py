"""The table of backends: what each needs and can do, which are installed, which is the default."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from ptychopinn_plugin.config import Backend, ExecutionConfig
from ptychopinn_plugin.config.backend_names import BACKEND_NAMES
from ptychopinn_plugin.errors import BackendUnavailableError, ConfigError, UnknownBackendError

if TYPE_CHECKING:
    from ptychopinn_plugin.backends.protocol import Engine

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackendSpec:
    """One row of the table of backends.

    Attributes:
        name: in settings, files and on the command line.
        packages: distributions that must be installed, each imported by the same name.
        engine: 'module:class'; the module `devices` beside it lists the devices.
        extra: of this package, for pip.
        only: fields of `ExecutionConfig` that can have one value only.
        limitation: why, as the predicate of a sentence about the backend; '' without limits.
    """

    name: Backend
    packages: tuple[str, ...]
    engine: str
    extra: str
    only: Mapping[str, object] = field(default_factory=dict)
    limitation: str = ''

    @property
    def display_name(self) -> str:
        """Return the name as the framework's authors write it."""
        return BACKEND_NAMES[self.name]

    @property
    def module(self) -> str:
        """Return the module of the engine."""
        return self.engine.partition(':')[0]


BACKENDS: dict[Backend, BackendSpec] = {
    spec.name: spec
    for spec in (
        BackendSpec(
            'tensorflow',
            packages=('tensorflow',),
            engine='ptychopinn_plugin.backends.tensorflow:TensorFlowEngine',
            extra='tensorflow',
            only={'devices': 1, 'num_nodes': 1, 'strategy': 'auto'},
            limitation='computes on one device',
        ),
        BackendSpec(
            'pytorch',
            packages=('torch', 'lightning'),
            engine='ptychopinn_plugin.backends.pytorch:PyTorchEngine',
            extra='pytorch',
        ),
    )
}
"""The backends by name, the preferred one first."""


@dataclass(frozen=True)
class BackendStatus:
    """State of one backend on this machine.

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


def backend_spec(backend: str) -> BackendSpec:
    """Return the row of a backend.

    Raises:
        UnknownBackendError: there is none of this name.
    """
    for name, spec in BACKENDS.items():
        if name == backend:
            return spec
    known = ' or '.join(repr(name) for name in BACKENDS)
    raise UnknownBackendError(f'unknown backend {backend!r}; it must be {known}')


def engine_class(backend: str) -> type[Engine]:
    """Import the engine of a backend and return its class.

    Args:
        backend: 'tensorflow' or 'pytorch'.

    Raises:
        UnknownBackendError: another name.
        BackendUnavailableError: the chosen framework cannot be imported. Another one is never
            taken in its place.
    """
    spec = backend_spec(backend)
    module, _, name = spec.engine.partition(':')
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise BackendUnavailableError(
            f'{spec.display_name} backend selected, but its packages cannot be imported ({error}); '
            f'install them with: {_install_command(spec)}'
        ) from error
    return cast('type[Engine]', getattr(found, name))


def installed_backends() -> tuple[Backend, ...]:
    """Return the backends whose framework and engine are installed, the preferred one first.

    Nothing is imported to find out.
    """
    return tuple(name for name in BACKENDS if _is_installed(name))


def default_backend() -> Backend:
    """Return the backend for a user who named none: the first of the table that is installed.

    Nothing is imported to find out.

    Raises:
        BackendUnavailableError: none is installed.
    """
    for backend in installed_backends():
        logger.info('Computing with the backend %r; no other was asked for', backend)
        return backend
    names = ' or '.join(spec.display_name for spec in BACKENDS.values())
    raise BackendUnavailableError(
        f'no backend is installed, {names} is needed; install one with: {install_commands()}'
    )


def with_backend(execution: ExecutionConfig, backend: Backend | None) -> ExecutionConfig:
    """Return an execution config with the backend that was asked for.

    Args:
        execution: the config; its backend counts as asked for only if it was given one.
        backend: the name, or None for what `execution` says or else the installed one.

    Raises:
        UnknownBackendError: there is no backend of this name.
        BackendUnavailableError: none was named and none is installed.
        ConfigError: the backend cannot do what the config asks for.
    """
    if backend is None and 'backend' not in execution.model_fields_set:
        backend = default_backend()
    # A backend that was named is taken or refused, never replaced by another.
    if backend is not None:
        named = {**execution.model_dump(), 'backend': backend_spec(backend).name}
        # Not `model_copy`, which validates nothing.
        execution = ExecutionConfig.model_validate(named)
    check_supported(execution)
    return execution


def check_installed(backend: Backend) -> None:
    """Refuse a backend whose packages are missing, before data are read for it.

    Nothing is imported to find out: that the packages work, `engine_class` finds.

    Raises:
        BackendUnavailableError: with the command that installs them.
    """
    if not _is_installed(backend):
        spec = BACKENDS[backend]
        raise BackendUnavailableError(
            f'{spec.display_name} backend selected, but {_missing(spec)} not installed; '
            f'install it with: {_install_command(spec)}'
        )


def check_supported(execution: ExecutionConfig) -> None:
    """Refuse execution settings that the chosen backend does not support.

    Raises:
        ConfigError: for example TensorFlow with more than one device or machine.
    """
    spec = BACKENDS[execution.backend]
    faults = []
    for name, only in spec.only.items():
        wanted = getattr(execution, name)
        if wanted != only:
            others = ' or '.join(
                repr(other.name) for other in BACKENDS.values() if name not in other.only
            )
            faults.append(
                f'{spec.display_name} backend selected with "{name} = {wanted!r}", but it '
                f'{spec.limitation}; set {name} to {only!r}, or take the backend {others}'
            )
    if faults:
        raise ConfigError(faults)


def backend_status(backend: Backend) -> BackendStatus:
    """Import a backend's engine; return its versions and devices, or why it cannot compute."""
    spec = BACKENDS[backend]
    versions = {package: _version(package) for package in spec.packages}
    try:
        engine_class(backend)
        found = importlib.import_module(f'{spec.module}.devices')
    except BackendUnavailableError as error:
        return BackendStatus(backend, versions, str(error), ())
    return BackendStatus(backend, versions, '', found.devices())


def install_commands() -> str:
    """Return the commands that install a backend, one or the other."""
    return ' or '.join(_install_command(spec) for spec in BACKENDS.values())


def _install_command(spec: BackendSpec) -> str:
    return f"pip install 'ptychopinn-plugin[{spec.extra}]'"


def _missing(spec: BackendSpec) -> str:
    """Return which packages of a backend are missing, with the verb."""
    names = [name for name in spec.packages if importlib.util.find_spec(name) is None]
    return f'{" and ".join(names) or spec.module} {"are" if len(names) > 1 else "is"}'


def _is_installed(backend: Backend) -> bool:
    spec = BACKENDS[backend]
    # Importing a framework takes seconds.
    return all(importlib.util.find_spec(name) is not None for name in (spec.module, *spec.packages))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''
