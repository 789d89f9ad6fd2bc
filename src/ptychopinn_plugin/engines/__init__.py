"""The typed switch between frameworks: the one place that knows both names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast, get_args

from ptychopinn_plugin.config import Backend
from ptychopinn_plugin.errors import BackendUnavailableError, UnknownBackendError

if TYPE_CHECKING:
    from ptychopinn_plugin.engines.protocol import Engine

__all__ = ['engine_class']


def engine_class(backend: str) -> type[Engine]:
    """Import the engine of a backend and return its class.

    Args:
        backend: 'tensorflow' or 'pytorch'.

    Raises:
        UnknownBackendError: another name.
        BackendUnavailableError: the chosen framework cannot be imported, or this version has no
            engine for it. Another framework is never taken in its place.
    """
    if backend == 'pytorch':
        try:
            module = importlib.import_module('ptychopinn_plugin.engines.pytorch')
        except ImportError as error:
            raise BackendUnavailableError(
                f'PyTorch backend selected, but its packages cannot be imported ({error}); '
                "install them with: pip install 'ptychopinn-plugin[pytorch]'"
            ) from error
        return cast('type[Engine]', module.PyTorchEngine)
    if backend == 'tensorflow':
        raise BackendUnavailableError(
            'TensorFlow backend selected, but this version has no TensorFlow engine yet; '
            "select the backend 'pytorch'"
        )
    known = ' or '.join(repr(name) for name in get_args(Backend))
    raise UnknownBackendError(f'unknown backend {backend!r}; it must be {known}')
