"""NumPy's .npy format read from a stream, a few megabytes at a time, never unpickled."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Bounds the memory beside that of the array itself.
CHUNK_BYTES = 4 * 2**20
# NumPy refuses longer headers, but only after it has read them.
LONGEST_HEADER = 10_000
# Products of sides stay far from the limits of index arithmetic.
LONGEST_SIDE = 2**48


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


def read_header(stream: IO[bytes]) -> ArrayHeader:
    """Read shape and dtype.

    Raises:
        ValueError: a version of the format that plain arrays of numbers do not have, or sides
            that no array has.
    """
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        # Version 3.0 is for names of fields in structured arrays.
        raise ValueError(f'array format version {version} is not a plain array of numbers')
    first = version == (1, 0)
    length = stream.read(2 if first else 4)
    if int.from_bytes(length, 'little') > LONGEST_HEADER:
        raise ValueError(f'a header of {int.from_bytes(length, "little")} bytes is too long')
    text = io.BytesIO(length + stream.read(int.from_bytes(length, 'little')))
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    header = ArrayHeader(*read(text))
    if any(not 0 <= side <= LONGEST_SIDE for side in header.shape):
        raise ValueError(f'no array has the shape {header.shape}')
    return header


def read_npy(path: Path) -> Array:
    """Read a whole .npy file.

    Raises:
        ValueError: it is damaged, or would need pickle.
    """
    with path.open('rb') as stream:
        header = read_header(stream)
        if header.dtype.hasobject:
            raise ValueError('it holds Python objects, which only pickle could read')
        if header.nbytes > path.stat().st_size:
            raise ValueError(
                f'it is shorter than the {header.nbytes} bytes of its array: it is cut short or '
                'still being written'
            )
        blocks = list(read_blocks(stream, header))
    stored = np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
    return stored.T if header.fortran_order else stored


def read_blocks(stream: IO[bytes], header: ArrayHeader) -> Iterator[Array]:
    """Yield slabs along the slowest stored axis, about 4 MB each.

    Raises:
        ValueError: the stream is shorter or longer than its header says.
    """
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
