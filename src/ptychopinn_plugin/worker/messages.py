"""Frames on a pipe: a JSON header and raw arrays, never a pickle."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.worker.shared_memory import Arena

Array = npt.NDArray[Any]

# Magic bytes, then the length of the header.
PREFIX = struct.Struct('<4sI')
MAGIC = b'PtyW'
INLINE = -1


@dataclass(frozen=True, eq=False)
class Frame:
    """One message.

    Attributes:
        kind: what it is.
        body: what JSON can hold.
        arrays: by name; any dtype but objects, any shape.
    """

    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


def write_frame(stream: IO[bytes], frame: Frame, arena: Arena | None = None) -> None:
    """Write a frame and flush; its arrays follow the header, or lie in the arena if there is one.

    Raises:
        OSError: nobody reads the stream any more, or the arena has no room.
    """
    arrays = {name: np.asarray(array, order='C') for name, array in frame.arrays.items()}
    places = dict.fromkeys(arrays, INLINE) if arena is None else arena.write(arrays)
    listed = [
        [name, array.dtype.str, list(array.shape), places[name]] for name, array in arrays.items()
    ]
    header = json.dumps({'kind': frame.kind, 'body': frame.body, 'arrays': listed}).encode()
    stream.write(PREFIX.pack(MAGIC, len(header)))
    stream.write(header)
    for name, array in arrays.items():
        if places[name] == INLINE and array.size:
            stream.write(array.reshape(-1).view(np.uint8).data)
    stream.flush()


def read_frame(stream: IO[bytes], arena: Arena | None = None) -> Frame | None:
    """Read a frame; None where the stream ends, also in the middle of a frame.

    Raises:
        WorkerError: what is read is not a frame.
    """
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    magic, length = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise WorkerError(f'the stream of the worker is damaged: {prefix!r} begins no frame')
    header = stream.read(length)
    if len(header) < length:
        return None
    content = json.loads(header)
    arrays = {}
    for name, dtype, shape, offset in content['arrays']:
        array = np.empty(shape, dtype)
        if offset != INLINE and arena is not None:
            array = arena.read(np.dtype(dtype), shape, offset)
        elif array.size and not _fill(stream, array):
            return None
        arrays[name] = array
    return Frame(content['kind'], content['body'], arrays)


def _fill(stream: IO[bytes], array: Array) -> bool:
    """Read an array's bytes; say whether they were all there."""
    view = array.reshape(-1).view(np.uint8).data
    while len(view):
        # A buffered stream gives less only at its end.
        read = stream.readinto(view)  # type: ignore[attr-defined]
        if not read:
            return False
        view = view[read:]
    return True
