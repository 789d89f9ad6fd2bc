"""Checks of places for files, before any work is done for them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ptychopinn_plugin.errors import OutputError


def check_output(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a path that could not be written, before any work is done for it.

    Args:
        path: the file to be written later.
        suffixes: the endings that say what kind of file it may be, such as `('.h5', '.npz')`.

    Raises:
        OutputError: another ending, a folder, named pipe or device of that name, a name that is too
            long, or no folder to write into.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        wanted = ' or '.join(suffixes)
        raise OutputError(f'{path} ends in {path.suffix or "nothing"!r}, it must end in {wanted}')
    try:
        is_folder = path.is_dir()
        folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    except OSError as error:
        raise OutputError(f'{path} cannot be written: {error.strerror}') from error
    if is_folder:
        raise OutputError(f'{path} is a folder; give the name of a file')
    refuse_special(path)
    if not folder.is_dir():
        raise OutputError(f'there is no folder {folder} to write {path.name} into; make it')
    _try_writing(folder)


def refuse_special(path: Path) -> None:
    """Refuse a path that is there and no file: it would wait for a reader, or be replaced.

    Raises:
        OutputError: it is a named pipe, a socket or a device.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OutputError(
            f'{path} cannot be written: it is a named pipe, a socket or a device; give the name of '
            'a file'
        )


def check_output_folder(path: Path) -> None:
    """Refuse a folder that could not be made or written into, before any work is done for it.

    Args:
        path: the folder; it need not be there yet.

    Raises:
        OutputError: a file has its name or that of a folder above, its name is too long, or
            nothing can be written there.
    """
    try:
        existing = next(one for one in (Path(path), *Path(path).absolute().parents) if one.exists())
    except OSError as error:
        raise OutputError(f'the folder {path} cannot be made: {error.strerror}') from error
    if not existing.is_dir():
        raise OutputError(
            f'{existing} is a file; its name is needed for the folder {path}, move it or choose '
            'another name'
        )
    _try_writing(existing)


def _try_writing(folder: Path) -> None:
    """Make a file and remove it: permissions alone say nothing of a disk that is read-only."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OutputError(
            f'the folder {folder} cannot be written to ({error.strerror}); choose another'
        ) from error
