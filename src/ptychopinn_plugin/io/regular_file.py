"""Refusal of paths that are neither files nor folders, before they are opened."""

from __future__ import annotations

import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, 'a named pipe'),
    (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
)


def why_not_a_file(path: Path) -> str:
    """Return why a path cannot be read as a file; '' for files, folders and missing paths.

    Opening a named pipe waits for a writer that may never come, and a device may have no end.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ''  # its reader says what is wrong
    for is_kind, name in _KINDS:
        if is_kind(mode):
            return f'{path} is {name}, not a file; copy what it gives to a file and give that'
    return ''
