"""The arrays of an .npz file, read one at a time, never unpickled."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import ScanDataError

Array = npt.NDArray[Any]

CHUNK_BYTES = 4 * 2**20
# Raised by zipfile, zlib and numpy's header parser for damaged bytes.
UNREADABLE = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    OverflowError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class ArrayHeader:
    """Shape and dtype of an array, before any value is read."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Size of the array's values."""
        return self.dtype.itemsize * math.prod(self.shape)


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
        except UNREADABLE as error:
            raise ScanDataError([_why_not_a_zip(path, error)]) from error
        self.names = tuple(n.removesuffix('.npy') for n in self._zip.namelist())

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
            ScanDataError: the array is damaged or would need pickle.
        """
        with self._open(name) as (stream, header):
            blocks = list(_blocks(stream, header))
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
            for stored in _blocks(stream, header):
                part = slice(start, start + len(stored))
                start += len(stored)
                if header.fortran_order:
                    yield (*everything, part), stored.T
                else:
                    yield (part, *everything), stored

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[IO[bytes], ArrayHeader]]:
        member = f'{name}.npy' if f'{name}.npy' in self._zip.namelist() else name
        try:
            info = self._zip.getinfo(member)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f'compression method {info.compress_type} is not that of .npz')
            with self._zip.open(info) as stream:
                header = _read_header(stream)
                if header.dtype.hasobject:
                    raise ScanDataError(
                        [
                            f'member {name!r} holds Python objects (dtype {header.dtype}), which '
                            'only pickle could read, and pickles can run code; save it as a plain '
                            'array of numbers'
                        ],
                        str(self.path),
                    )
                if info.file_size < header.nbytes:
                    raise ValueError(f'{header.nbytes} bytes were promised, {info.file_size} held')
                yield stream, header
        except ScanDataError:
            raise
        except UNREADABLE as error:
            raise ScanDataError(
                [f'member {name!r} is damaged or cut short ({error}); write the file again'],
                str(self.path),
            ) from error


def _why_not_a_zip(path: Path, error: Exception) -> str:
    try:
        size = path.stat().st_size
        with path.open('rb') as file:
            head = file.read(6)
    except OSError as cause:
        return f'{path} cannot be read: {cause.strerror}'
    if size == 0:
        return f'{path} is empty'
    if head == b'\x93NUMPY':
        return f'{path} is a single array (.npy); an .npz file with named arrays is needed'
    if head[:4] == b'PK\x03\x04':
        return f'{path} is an .npz file that is damaged or cut short ({error}); copy it again'
    return f'{path} is not an .npz file ({error})'


def _read_header(stream: IO[bytes]) -> ArrayHeader:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return ArrayHeader(*np.lib.format.read_array_header_1_0(stream))
    if version == (2, 0):
        return ArrayHeader(*np.lib.format.read_array_header_2_0(stream))
    raise ValueError(f'array format version {version} is not a plain array of numbers')


def _blocks(stream: IO[bytes], header: ArrayHeader) -> Iterator[Array]:
    """Yield slabs along the slowest stored axis."""
    shape = header.shape[::-1] if header.fortran_order else header.shape
    if 0 in shape:
        yield np.empty(shape, header.dtype)
    elif not shape:
        yield _read_exactly(stream, header.dtype, (1,)).reshape(())
    else:
        slab = max(1, header.dtype.itemsize * math.prod(shape[1:]))
        step = max(1, CHUNK_BYTES // slab)
        for start in range(0, shape[0], step):
            yield _read_exactly(stream, header.dtype, (min(step, shape[0] - start), *shape[1:]))
    # Reading past the end makes zipfile compare the checksum of the whole array.
    if stream.read(1):
        raise ValueError('there is more data than its header says')


def _read_exactly(stream: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    needed = dtype.itemsize * math.prod(shape)
    data = stream.read(needed)
    if len(data) != needed:
        raise ValueError(f'{needed} bytes were expected, {len(data)} found')
    return np.frombuffer(data, dtype).reshape(shape)
