"""Whether a program has an HDF5 file open for writing, as its first bytes say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

WriterState: TypeAlias = Literal['writing', 'closed', 'unknown']

# Of the superblock, HDF5 file format specification, section II.A: its version, and flags of a file
# that is open for writing, which files of version 3 have.
SIGNATURE = b'\x89HDF\r\n\x1a\n'
VERSION_BYTE, FLAGS_BYTE = 8, 11
WRITING_FLAGS = 0b101


def writer_state(path: Path) -> WriterState:
    """Return whether a program is writing an HDF5 file.

    A program that was killed leaves the file marked as being written. 'unknown' for files that have
    no such mark, and for what is no HDF5 file.
    """
    try:
        with path.open('rb') as file:
            head = file.read(FLAGS_BYTE + 1)
    except OSError:
        return 'unknown'
    if len(head) <= FLAGS_BYTE or not head.startswith(SIGNATURE) or head[VERSION_BYTE] != 3:
        return 'unknown'
    return 'writing' if head[FLAGS_BYTE] & WRITING_FLAGS else 'closed'
