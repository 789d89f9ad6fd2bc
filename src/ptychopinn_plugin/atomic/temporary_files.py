"""Names and locks of temporary files, and removal of those that killed processes left."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
import time
from pathlib import Path

if sys.platform != 'win32':
    import fcntl

# Characters of a file's name that its temporary name repeats: names of 255 bytes are the longest.
REPEATED_CHARACTERS = 40
# Names of temporary files, of earlier versions too, which kept the suffix.
_TEMPORARY = re.compile(r'\..*\.[0-9a-f]{8}\.part(\.\w+)?')
# A temporary file is locked directly after it is made; until then only its age protects it.
_ABANDONED_SECONDS = 60.0


def temporary_name(path: Path) -> Path:
    """Return a path in the same folder that nobody can guess."""
    return path.with_name(f'.{path.stem[:REPEATED_CHARACTERS]}.{secrets.token_hex(4)}.part')


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder.

    One that a living process writes is locked, or younger than a minute. Where a file system has
    no locks, all are left.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if age > _ABANDONED_SECONDS and _is_unlocked(entry.path):
                    Path(entry.path).unlink()


def lock(descriptor: int) -> None:
    """Lock a file that is being written; where there are no locks, go on without."""
    if sys.platform != 'win32':
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_unlocked(path: str) -> bool:
    """Return whether no process writes a file; on Windows open files cannot be removed anyway."""
    if sys.platform == 'win32':
        return True
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
