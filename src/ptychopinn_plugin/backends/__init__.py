"""The typed switch between frameworks: the one place that knows both names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast, get_args

from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.errors import BackendUnavailableError, UnknownBackendError

if TYPE_CHECKING:
    from ptychopinn_plugin.backends.protocol import Engine

__all__ = ['engine_class']

# Each framework's own spelling, and its engine.
_ENGINES = {
    'tensorflow': ('TensorFlow', 'TensorFlowEngine'),
    'pytorch': ('PyTorch', 'PyTorchEngine'),
}


def engine_class(backend: str) -> type[Engine]:
    """Import the engine of a backend and return its class.

    Args:
        backend: 'tensorflow' or 'pytorch'.

    Raises:
        UnknownBackendError: another name.
        BackendUnavailableError: the chosen framework cannot be imported. Another one is never
            taken in its place.
    """
    if backend not in _ENGINES:
        known = ' or '.join(repr(name) for name in get_args(Backend))
        raise UnknownBackendError(f'unknown backend {backend!r}; it must be {known}')
    name, engine = _ENGINES[backend]
    try:
        module = importlib.import_module(f'ptychopinn_plugin.backends.{backend}')
    except ImportError as error:
        raise BackendUnavailableError(
            f'{name} backend selected, but its packages cannot be imported ({error}); '
            f"install them with: pip install 'ptychopinn-plugin[{backend}]'"
        ) from error
    return cast('type[Engine]', getattr(module, engine))
