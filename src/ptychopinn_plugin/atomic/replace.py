"""Atomic writing of files."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from ptychopinn_plugin.atomic.output_checks import refuse_special
from ptychopinn_plugin.atomic.output_file import OutputFile
from ptychopinn_plugin.atomic.temporary_files import lock, remove_abandoned, temporary_name
from ptychopinn_plugin.errors import OutputError

_NEW_FILE = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, 'O_NOFOLLOW', 0)
    | getattr(os, 'O_CLOEXEC', 0)
    | getattr(os, 'O_BINARY', 0)
)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file under a temporary name and move it into place when it is complete.

    The new file has the permissions of the one that it replaces, and its owner and group where
    the process may set them. Temporary files that a killed process left in the folder are removed.

    Args:
        path: the file to be written; an old one stays until the new one is complete. A symbolic
            link stays, and the file that it leads to is written.

    Yields:
        An empty binary file, open for reading and writing. A failure to write, such as a full
        disk, is raised at the end and not inside, see `OutputFile`.

    Raises:
        OutputError: the file cannot be written there; nothing is left behind.
    """
    named, path = path, Path(os.path.realpath(path))
    refuse_special(path)
    remove_abandoned(path.parent)
    temporary = temporary_name(path)
    with _output_errors(named):
        descriptor = os.open(temporary, _NEW_FILE, 0o666)
        try:
            with OutputFile(descriptor) as output:
                lock(descriptor)
                yield cast('IO[bytes]', output)
                output.finish()
            _copy_permissions(path, temporary)
            temporary.replace(path)
            _flush_to_disk(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


@contextlib.contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    """Raise errors of the operating system as `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f'{path} cannot be written: {error.strerror or error}') from error


def _copy_permissions(path: Path, temporary: Path) -> None:
    """Give a new file the permissions, and if possible the owner and group, of an old one."""
    try:
        old = path.stat()
    except FileNotFoundError:
        return
    mode = old.st_mode & 0o7777
    if sys.platform != 'win32':
        new = temporary.stat()
        if old.st_gid != new.st_gid:
            try:
                os.chown(temporary, -1, old.st_gid)
            except OSError:
                # What the old group may do is not meant for the group of this process.
                mode = mode & ~0o070 | (mode & 0o007) << 3
        if old.st_uid != new.st_uid:
            with contextlib.suppress(OSError):
                os.chown(temporary, old.st_uid, -1)
    # Last: a change of owner takes bits of the mode away.
    temporary.chmod(mode)


def _flush_to_disk(folder: Path) -> None:
    if os.name == 'nt':
        return  # Windows cannot open a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
