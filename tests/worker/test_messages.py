"""Messages: what is read is what was written, bit by bit."""

import io

import numpy as np
import pytest

from ptychopinn_plugin.errors import WorkerError
from ptychopinn_plugin.worker.messages import Message, read_message, write_message
from ptychopinn_plugin.worker.shared_memory import Array, SharedMemory

ARRAYS: dict[str, Array] = {
    'counts': np.random.default_rng(0).random((5, 4, 4)).astype(np.float32),
    'turned': np.arange(24, dtype=np.int16).reshape(2, 3, 4).T,
    'every other': np.arange(10.0)[::2],
    'complex': np.array([1 + 2j, np.nan, np.inf], np.complex64),
    'flags': np.array([[True, False]]),
    'big-endian': np.arange(3, dtype='>u4'),
    'number': np.array(3.5),
    'nothing': np.empty((0, 7), np.float64),
    'minus zero': np.array([-0.0]),
}
BODY = {'text': 'ÅÄ\n"', 'none': None, 'pi': 0.1 + 0.2, 'nested': {'list': [1, [2.5, 'x']]}}


def written(memory: SharedMemory | None = None, arrays: dict[str, Array] = ARRAYS) -> bytes:
    stream = io.BytesIO()
    write_message(stream, Message('kind', BODY, arrays), memory)
    return stream.getvalue()


@pytest.mark.parametrize('way', ['memory', 'temporary file', 'pipe'])
def test_a_message_is_read_as_it_was_written(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == 'temporary file':
        monkeypatch.delattr('os.memfd_create')
    memory = None if way == 'pipe' else SharedMemory.create()
    read = read_message(io.BytesIO(written(memory)), memory)
    assert read is not None
    assert (read.kind, read.body) == ('kind', BODY)
    assert list(read.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert read.arrays[name].dtype == array.dtype
        assert read.arrays[name].shape == array.shape
        assert read.arrays[name].tobytes() == array.tobytes()
        assert read.arrays[name].flags.writeable


def test_messages_follow_one_another() -> None:
    stream = io.BytesIO(written() + written())
    assert read_message(stream) is not None
    assert read_message(stream) is not None
    assert read_message(stream) is None


def test_a_stream_that_ends_early_gives_no_message() -> None:
    whole = written()
    for length in range(len(whole)):
        assert read_message(io.BytesIO(whole[:length])) is None


def test_other_bytes_are_refused() -> None:
    with pytest.raises(WorkerError, match='damaged'):
        read_message(io.BytesIO(b'hello world\n'))


def test_objects_are_never_sent() -> None:
    with pytest.raises(TypeError):
        written(arrays={'pickle': np.array([object()])})


def test_only_a_header_goes_through_the_pipe_beside_shared_memory() -> None:
    large = {'counts': np.zeros(10**6, np.float32)}
    assert len(written(SharedMemory.create(), large)) < 1000


def test_writing_to_a_read_array_stays_private() -> None:
    memory = SharedMemory.create()
    assert memory is not None
    places = memory.write({'a': np.zeros(1000)})
    first = memory.read(np.dtype(float), (1000,), places['a'])
    first[:] = 1
    assert not memory.read(np.dtype(float), (1000,), places['a']).any()
