"""The arrays of an .npz file, read one at a time, never unpickled."""

from __future__ import annotations

import struct
import zipfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError
from ptychopinn_plugin.io.free_memory import memory_fault
from ptychopinn_plugin.io.npy_stream import CHUNK_BYTES, ArrayHeader, read_blocks, read_header
from ptychopinn_plugin.io.reading_errors import describe, reading

Array = npt.NDArray[Any]

MOST_MEMBERS = 10_000
# Of the header before a member, and where in it the lengths of name and extra field are (section
# 4.3.7 of PKWARE's APPNOTE).
_LOCAL_HEADER, _LOCAL_LENGTHS = 30, 26


class NpzArchive:
    """An open .npz file; a context manager.

    Args:
        path: the file.

    Raises:
        ScanDataError: there is no such file, it is no .npz or it is cut short.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and list its arrays."""
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise ScanDataError([f'there is no file {path}']) from None
        except IsADirectoryError:
            raise ScanDataError([f'{path} is a folder; an .npz file is needed']) from None
        except Exception as error:
            raise ScanDataError([_why_not_a_zip(path, error)]) from error
        members = self._zip.namelist()
        if len(members) > MOST_MEMBERS:
            self._zip.close()
            raise ScanDataError([f'{path} has {len(members)} members; it is not a file of arrays'])
        self.names = tuple(name.removesuffix('.npy') for name in members)

    def __enter__(self) -> NpzArchive:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        """Return whether the file has an array of this name."""
        return name in self.names

    def read(self, name: str) -> Array:
        """Return a whole array.

        Raises:
            ScanDataError: the array is damaged, would need pickle or does not fit into memory.
        """
        with self._open(name) as (stream, header):
            # The blocks and the array that they are joined to.
            if fault := memory_fault(f'{name!r} {header.shape}', 2 * header.nbytes):
                raise ScanDataError([fault], str(self.path))
            blocks = list(read_blocks(stream, header))
        stored = np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
        return stored.T if header.fortran_order else stored

    def header(self, name: str) -> ArrayHeader:
        """Return shape and dtype of an array without reading its values."""
        with self._open(name) as (_, header):
            return header

    def blocks(self, name: str) -> Iterator[tuple[tuple[slice, ...], Array]]:
        """Yield (where in the array, values) in the stored order, about 4 MB at a time.

        Raises:
            ScanDataError: the array is damaged or would need pickle.
        """
        with self._open(name) as (stream, header):
            start = 0
            everything = (slice(None),) * (len(header.shape) - 1)
            for stored in read_blocks(stream, header):
                part = slice(start, start + len(stored))
                start += len(stored)
                if header.fortran_order:
                    yield (*everything, part), stored.T
                else:
                    yield (part, *everything), stored

    def place(self, name: str) -> int | None:
        """Return where the values of an array begin in the file; None where they are compressed.

        Its bytes are read once, to compare their checksum.

        Raises:
            ScanDataError: the array is damaged or would need pickle.
        """
        with self._open(name) as (stream, _):
            info = self._zip.getinfo(self._member(name))
            if info.compress_type != zipfile.ZIP_STORED:
                return None
            skipped = stream.tell()
            # Behind the last byte zipfile compares the checksum.
            deque(iter(partial(stream.read, CHUNK_BYTES), b''), maxlen=0)
            with self.path.open('rb') as file:
                file.seek(info.header_offset)
                local = file.read(_LOCAL_HEADER)
            name_length, extra_length = struct.unpack_from('<HH', local, _LOCAL_LENGTHS)
        first = info.header_offset + _LOCAL_HEADER
        return int(first + name_length + extra_length + skipped)

    def _member(self, name: str) -> str:
        return f'{name}.npy' if f'{name}.npy' in self._zip.namelist() else name

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[IO[bytes], ArrayHeader]]:
        member = self._member(name)
        what = f'member {name!r} is damaged or cut short'
        with reading(
            lambda text: ScanDataError([text], str(self.path)), what, '; write the file again'
        ):
            info = self._zip.getinfo(member)
            # NumPy writes no others, and these need modules that may be missing.
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f'compression method {info.compress_type} is not that of .npz')
            with self._zip.open(info) as stream:
                header = read_header(stream)
                if header.dtype.hasobject:
                    raise ScanDataError(
                        [
                            f'member {name!r} holds Python objects (dtype {header.dtype}), which '
                            'only pickle could read, and pickles can run code; save it as a plain '
                            'array of numbers'
                        ],
                        str(self.path),
                    )
                # Before the array is allocated: a damaged header may state any size.
                if info.file_size < header.nbytes:
                    raise ValueError(f'{header.nbytes} bytes were stated, {info.file_size} held')
                yield stream, header


def _why_not_a_zip(path: Path, error: Exception) -> str:
    try:
        size = path.stat().st_size
        with path.open('rb') as file:
            head = file.read(6)
    except OSError as cause:
        return f'{path} cannot be read: {cause.strerror}'
    reason = describe(error)
    if size == 0:
        return f'{path} is empty'
    if head == b'\x93NUMPY':
        return f'{path} is a single array (.npy); an .npz file with named arrays is needed'
    if head[:4] == b'PK\x03\x04':
        return (
            f'{path} is an .npz file that is damaged, cut short or still being written '
            f'({reason}); copy it again, or wait until it is complete'
        )
    return f'{path} is not an .npz file ({reason})'
