"""Atomic writing of files."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ptychopinn_plugin.errors import OutputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name and move it into place when it is complete.

    Args:
        path: the file to be written; an old one stays until the new one is complete.

    Yields:
        The path of an empty file in the same folder, with the same suffix.

    Raises:
        OutputError: the file cannot be written there; nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.stem}.{secrets.token_hex(4)}.part{path.suffix}')
    try:
        temporary.touch()
        # Some writers make files that only their owner may read.
        mode = (path if path.exists() else temporary).stat().st_mode
        yield temporary
        temporary.chmod(mode)
        _flush_to_disk(temporary)
        temporary.replace(path)
        _flush_to_disk(path.parent)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a path that could not be written, before any work is done for it.

    Args:
        path: the file to be written later.
        suffixes: the endings that say what kind of file it may be, such as `('.h5', '.npz')`.

    Raises:
        OutputError: another ending, a folder of that name, or no folder to write into.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        wanted = ' or '.join(suffixes)
        raise OutputError(f'{path} ends in {path.suffix or "nothing"!r}, it must end in {wanted}')
    if path.is_dir():
        raise OutputError(f'{path} is a folder; give the name of a file')
    if not path.parent.is_dir():
        raise OutputError(f'there is no folder {path.parent} to write {path.name} into; make it')
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f'the folder {path.parent} cannot be written to; choose another')


def _flush_to_disk(path: Path) -> None:
    if path.is_dir() and os.name == 'nt':
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
