"""Messages on a pipe: a JSON header and raw arrays, never a pickle."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeAlias

import numpy as np

from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.worker.shared_memory import Array, SharedMemory, do_nothing

Body: TypeAlias = dict[str, Any]
Buffer: TypeAlias = bytes | memoryview

# Magic bytes, then the length of the header.
PREFIX = struct.Struct('<4sI')
MAGIC = b'PtyW'
INLINE = -1
# Of what stands in the place of a message.
SHOWN_BYTES = 80


@dataclass(frozen=True, eq=False)
class Message:
    """One message.

    Attributes:
        kind: what the message is, as 'reconstruct', 'progress' or 'result'.
        body: values that JSON can hold.
        arrays: by name; any shape, any dtype but object.
    """

    kind: str
    body: Body = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


def encode_message(
    message: Message, memory: SharedMemory | None = None, check: Callable[[], None] = do_nothing
) -> list[Buffer]:
    """Return the bytes of a message in parts; arrays are in the last ones or in shared memory.

    Args:
        message: to be written.
        memory: receives the arrays; None to have them in the parts, as views.
        check: called after every 64 MB of an array in shared memory; raises to stop.

    Raises:
        OSError: there is not enough shared memory.
    """
    arrays = {name: np.asarray(array, order='C') for name, array in message.arrays.items()}
    offsets = dict.fromkeys(arrays, INLINE) if memory is None else memory.write(arrays, check)
    listed = [
        [name, array.dtype.str, list(array.shape), offsets[name]] for name, array in arrays.items()
    ]
    header = json.dumps({'kind': message.kind, 'body': message.body, 'arrays': listed}).encode()
    inline = [array for name, array in arrays.items() if offsets[name] == INLINE and array.size]
    views = [array.reshape(-1).view(np.uint8).data for array in inline]
    return [PREFIX.pack(MAGIC, len(header)) + header, *views]


def write_message(stream: IO[bytes], message: Message, memory: SharedMemory | None = None) -> None:
    """Write a message and flush; its arrays go to shared memory, or without it after the header.

    Raises:
        OSError: the stream has no reader any more, or there is not enough shared memory.
    """
    for part in encode_message(message, memory):
        stream.write(part)
    stream.flush()


def read_message(stream: IO[bytes], memory: SharedMemory | None = None) -> Message | None:
    """Read a message; None where the stream ends, also in the middle of a message.

    Raises:
        WorkerError: the stream does not continue with a message.
    """
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    magic, length = PREFIX.unpack(prefix)
    if magic != MAGIC:
        found = prefix if b'\n' in prefix else prefix + stream.readline(SHOWN_BYTES)
        raise WorkerError(
            f'the stream of the worker is damaged: a message begins with {MAGIC!r}, found '
            f'{found!r}; keep what wrote this from printing when Python starts, and run again'
        )
    header = stream.read(length)
    if len(header) < length:
        return None
    content = json.loads(header)
    arrays = {}
    for name, dtype, shape, offset in content['arrays']:
        array = np.empty(shape, dtype)
        if offset != INLINE and memory is not None:
            array = memory.read(np.dtype(dtype), shape, offset)
        elif array.size and not _fill(stream, array):
            return None
        arrays[name] = array
    return Message(content['kind'], content['body'], arrays)


def _fill(stream: IO[bytes], array: Array) -> bool:
    """Read the bytes of an array; return whether the stream had all of them."""
    view = array.reshape(-1).view(np.uint8).data
    while len(view):
        # A buffered stream returns fewer bytes only at its end.
        read = stream.readinto(view)  # type: ignore[attr-defined]
        if not read:
            return False
        view = view[read:]
    return True
