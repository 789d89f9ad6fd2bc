"""Names of the backends; what they need and can do is in `backends.registry`."""

from __future__ import annotations

from typing import Literal, TypeAlias

Backend: TypeAlias = Literal['tensorflow', 'pytorch']

BACKEND_NAMES: dict[Backend, str] = {'tensorflow': 'TensorFlow', 'pytorch': 'PyTorch'}
"""Each backend as its authors write it, the preferred backend first."""


def backend_display_name(backend: str) -> str:
    """Return a backend's name for a heading or a message.

    Args:
        backend: a name in a setting or a result; one that is not in the table is returned as it
            is, because results of other programs may hold any.
    """
    return next((written for name, written in BACKEND_NAMES.items() if name == backend), backend)
